#!/usr/bin/env bash
# Measures how much memory the streamer and the sink take where much passes through them, as the operating system sees it, and
# prints a table: one transaction of 10 million rows, a value of 200 MB, 5,000 tables, a frozen broker, a locked table.
# Takes an hour and 20 GB of disk. `scripts/memory.sh --help` names what can be made smaller.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --workspace --locked
exec target/debug/stack memory "$@"
