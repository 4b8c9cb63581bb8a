#!/usr/bin/env bash
# Stops what start-all.sh started, and removes its data.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if [ -d "$NATIVE_STACK" ]; then
    [ -x "$NATIVE_PROGRAMS/stack" ] || die "$NATIVE_PROGRAMS/stack is gone, and it knows how to stop $NATIVE_STACK: cargo build --profile $HEADWATER_PROFILE -p stack"
    "$NATIVE_PROGRAMS/stack" down --directory "$NATIVE_STACK"
fi
engine=""
[ "${STACK:-}" = native ] || find_engine
if [ -n "$engine" ]; then
    COMPOSE_PROFILES=streamer,debezium $compose $COMPOSE_FILES down --volumes
fi
say "stopped"
