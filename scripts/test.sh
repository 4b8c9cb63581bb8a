#!/usr/bin/env bash
# All checks: format, lints, unit tests, documentation, compose files and manifests, and the tests against real PostgreSQL, Kafka,
# Debezium and the programs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

need_build_tools
need_stack_tools

begun=$SECONDS
step() {
    say ""
    say "== $1 ($((SECONDS - begun)) s)"
    shift
    "$@"
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "build" cargo build --workspace --locked
step "unit tests" cargo test --workspace --locked --lib --bins
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --locked --no-deps --document-private-items
step "compose files" scripts/check-compose.sh
step "manifests, units, completions, man pages" scripts/check-deploy.sh
step "the images' files" target/debug/stack run -- scripts/check-image.sh
# Without backtraces: an error says what happened, and what was printed last is what one sees of a run elsewhere.
step "tests on the real stack" env RUST_BACKTRACE=0 target/debug/stack run -- cargo test -p stack --locked --test end_to_end -- --test-threads=3
step "a dozen faults" target/debug/stack faults --faults 12
step "parity with Debezium's records" target/debug/stack parity
say ""
say "all passed in $((SECONDS - begun)) s"
