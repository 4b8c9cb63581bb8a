#!/usr/bin/env bash
# Compares every table of postgres1 with postgres2, then times a live insert from one to the other.
# Exit status 0 only if all tables are equal and the row came.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if [ -d "$NATIVE_STACK" ]; then
    exec "$NATIVE_PROGRAMS/sink" verify \
        --source postgres://postgres:postgres@127.0.0.1:${POSTGRES1_PORT:-5433}/omedb \
        --target postgres://postgres:postgres@127.0.0.1:${POSTGRES2_PORT:-5434}/omedb \
        --wait 30 --live-insert compose/writer/live-insert.sql "$@"
fi
find_engine
[ -n "$engine" ] && $engine inspect headwater-sink >/dev/null 2>&1 ||
    die "there is nothing to verify: run scripts/start-all.sh first"
exec $engine exec headwater-sink sink verify --wait 30 --live-insert /etc/headwater/live-insert.sql "$@"
