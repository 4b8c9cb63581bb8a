#!/usr/bin/env bash
# Any bytes into everything that reads some: scripts/fuzz.sh [SECONDS] [TARGET]. Each target runs for so many seconds (60
# when not said), and begins with the files of fuzz/corpus and with what earlier runs have found their way by.
#
# A target that finds something ends the script; the bytes are in fuzz/artifacts. Mend it, and put the file into fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

seconds=${1:-60}
targets=("${@:2:1}")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(cd fuzz/fuzz_targets && ls -- *.rs | sed 's/\.rs$//')

cargo +nightly fuzz --version >/dev/null 2>&1 ||
    die "cargo-fuzz is missing. Install it: rustup toolchain install nightly && cargo install cargo-fuzz --locked"

# Without the address sanitizer: our crates forbid unsafe code, and rdkafka's configure cannot link a zstd that was built for
# it. Debug assertions and overflow checks are on.
say "building ${#targets[@]} targets"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
for target in "${targets[@]}"; do
    cargo +nightly fuzz build --fuzz-dir fuzz --sanitizer none "$target"
done

# What asks for more memory than this is told that there is none, and aborts: no input has more than 4 KB.
ulimit -v 2000000
for target in "${targets[@]}"; do
    found=fuzz/target/corpus/$target
    log=fuzz/target/$target.log
    mkdir -p "$found" "fuzz/artifacts/$target"
    if ! "fuzz/target/$host/release/$target" "$found" "fuzz/corpus/$target" -artifact_prefix="fuzz/artifacts/$target/" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log"
        die "$target does not take these bytes"
    fi
    say "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
done
