#!/usr/bin/env bash
# Runs the whole: two PostgreSQL servers, Kafka, the streamer, the sink, up to WRITER COMPLETE, and leaves it running.
# With docker or podman running it uses containers, otherwise native processes (STACK=native asks for those).
# PIPELINE=debezium puts Kafka Connect with Debezium in the streamer's place.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

PIPELINE=${PIPELINE:-streamer}
case "$PIPELINE" in
streamer | debezium) ;;
*) die "PIPELINE=$PIPELINE is not known: streamer or debezium" ;;
esac

engine=""
[ "${STACK:-}" = native ] || engine=$(container_engine)

if [ -z "$engine" ]; then
    say "no container engine runs here: using native processes"
    need_build_tools
    say "building (the first time takes some minutes) ..."
    cargo build --release -p streamer -p sink -p stack
    exec target/release/stack demo --pipeline "$PIPELINE"
fi

say "using $engine"
$engine -f compose/compose.yaml --profile "$PIPELINE" up --build --detach
say "waiting for the sink ..."
shown=0
while true; do
    log=$($engine -f compose/compose.yaml --profile "$PIPELINE" logs --no-log-prefix sink 2>/dev/null || true)
    lines=$(printf '%s\n' "$log" | wc -l)
    if [ "$lines" -gt "$shown" ]; then
        printf '%s\n' "$log" | tail -n "+$((shown + 1))"
        shown=$lines
    fi
    case "$log" in *"WRITER COMPLETE"*) break ;; esac
    if ! $engine -f compose/compose.yaml --profile "$PIPELINE" ps --services --status running 2>/dev/null | grep -qx sink; then
        die "the sink has ended; its last words stand above. All logs: $engine -f compose/compose.yaml logs"
    fi
    sleep 1
done
cat <<END

Everything runs. Try it:

  a live insert     $engine -f compose/compose.yaml exec postgres1 psql -U postgres omedb -c "INSERT INTO devices(service_tag,device_name,device_type_id,model,ip_address,health_status) VALUES('MYTEST','test.local',1,'PowerEdge R750','10.99.1.1','OK')"
  and here it is    $engine -f compose/compose.yaml exec postgres2 psql -U postgres omedb -c "SELECT * FROM devices WHERE service_tag = 'MYTEST'"
  compare all       scripts/verify.sh
  Redpanda Console  http://localhost:8080
  the connector     curl http://localhost:8083/connectors/ome-connector/status
  stop everything   scripts/stop-all.sh
END
