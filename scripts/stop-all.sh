#!/usr/bin/env bash
# Stops what start-all.sh started, and removes its data.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

for build in release debug; do
    if [ -x "target/$build/stack" ]; then
        "target/$build/stack" down
        break
    fi
done
engine=$(container_engine)
if [ -n "$engine" ]; then
    $engine -f compose/compose.yaml --profile streamer --profile debezium down --volumes
fi
say "stopped"
