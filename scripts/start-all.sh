#!/usr/bin/env bash
# Runs the whole: two PostgreSQL servers, Kafka, the streamer, the sink, up to WRITER COMPLETE, and leaves it running.
# With docker or podman running it uses containers, otherwise native processes (STACK=native asks for those).
# PIPELINE=debezium puts Kafka Connect with Debezium in the streamer's place. HEADWATER_PROFILE=release builds what runs fastest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

PIPELINE=${PIPELINE:-streamer}
case "$PIPELINE" in
streamer | debezium) ;;
*) die "PIPELINE=$PIPELINE is not known: streamer or debezium" ;;
esac

engine=""
[ "${STACK:-}" = native ] || find_engine

if [ -z "$engine" ]; then
    say "no container engine runs here: using native processes"
    need_stack_tools
    if [ -z "${HEADWATER_PROGRAMS:-}" ]; then
        need_build_tools
        say "building (the first time takes some minutes) ..."
        cargo build --profile "$HEADWATER_PROFILE" --locked -p streamer -p sink -p stack
    fi
    exec "$NATIVE_PROGRAMS/stack" demo --pipeline "$PIPELINE" --directory "$NATIVE_STACK"
fi

say "using $compose"
# In the environment, not as --profile: podman-compose would add the flag to what .env says.
export COMPOSE_PROFILES=$PIPELINE
$compose $COMPOSE_FILES up --build --detach
say "waiting for the sink ..."
shown=0
while true; do
    log=$($engine logs headwater-sink 2>/dev/null || true)
    lines=$(printf '%s\n' "$log" | wc -l)
    if [ "$lines" -gt "$shown" ]; then
        printf '%s\n' "$log" | tail -n "+$((shown + 1))"
        shown=$lines
    fi
    case "$log" in *"WRITER COMPLETE"*) break ;; esac
    if [ "$($engine inspect --format '{{.State.Status}}' headwater-sink)" = exited ]; then
        $engine logs headwater-sink 2>&1 >/dev/null | tail -n 20 >&2
        die "the sink has ended; its last words stand above"
    fi
    sleep 1
done
cat <<END

Everything runs. Try it:

  a live insert     scripts/psql.sh postgres1 -c "INSERT INTO devices(service_tag,device_name,device_type_id,model,ip_address,health_status) VALUES('MYTEST','test.local',1,'PowerEdge R750','10.99.1.1','OK')"
  and here it is    scripts/psql.sh postgres2 -c "SELECT * FROM devices WHERE service_tag = 'MYTEST'"
  compare all       scripts/verify.sh
  Redpanda Console  http://localhost:8080
  the pages         http://localhost:8083 (the streamer), http://localhost:8084 (the sink)
  the connector     curl http://localhost:8083/connectors/ome-connector/status
  the sink          curl http://localhost:8084/health
  logs              $engine logs headwater-$PIPELINE
  stop everything   scripts/stop-all.sh
END
