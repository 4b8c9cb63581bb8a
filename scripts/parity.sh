#!/usr/bin/env bash
# Runs the parity scenarios: the streamer's records against those that Debezium wrote (golden), or both side by side (--live).
# PIPELINE=debezium runs Debezium against its own records. Arguments go to `stack parity`: scripts/parity.sh --only 48-toast
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

need_build_tools
need_stack_tools
cargo build --locked -p streamer -p stack
[ "${PIPELINE:-streamer}" = streamer ] || set -- --mode reference "$@"
exec target/debug/stack parity "$@"
