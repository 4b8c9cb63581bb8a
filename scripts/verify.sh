#!/usr/bin/env bash
# Compares every table of postgres1 with postgres2, then times a live insert from one to the other.
# Exit status 0 only if all tables are equal and the row came.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if [ -x target/release/sink ]; then
    exec target/release/sink verify \
        --source "${SOURCE:-postgres://postgres:postgres@127.0.0.1:5433/omedb}" \
        --target "${TARGET:-postgres://postgres:postgres@127.0.0.1:5434/omedb}" \
        --wait 30 --live-insert compose/writer/live-insert.sql "$@"
fi
engine=$(container_engine)
[ -n "$engine" ] || die "there is nothing to verify: run scripts/start-all.sh first"
exec $engine -f compose/compose.yaml exec -T sink sink verify --wait 30 --live-insert /etc/headwater/live-insert.sql "$@"
