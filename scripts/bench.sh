#!/usr/bin/env bash
# Measures how fast the streamer and the sink are beside Debezium and beside PostgreSQL itself, and writes docs/benchmarks.md with
# its pictures. Takes an hour on a machine that does nothing else. `scripts/bench.sh --help` names what can be made smaller.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --workspace --locked
exec target/release/stack bench "$@"
