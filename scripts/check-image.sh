#!/usr/bin/env bash
# Makes the files of both images as compose/Dockerfile does, and runs the programs in nothing but these, as the images' user: into Kafka, from one
# PostgreSQL to the other, with the health checks. Run by `stack run`, of which it has the servers:
#
#   target/debug/stack run -- scripts/check-image.sh [FOLDER OF THE PROGRAMS] [LIMIT IN MB]
#
# With a limit, an image that is larger fails. It has to be root, who alone can change the root of a process, on Debian, as the Dockerfile is.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

programs=${1:-${TEST_BIN:?run me by: target/debug/stack run -- scripts/check-image.sh}}
limit=${2:-}
if [ "$(id -u)" != 0 ] || ! command -v dpkg-query >/dev/null; then
    say "not checked: it takes root, and Debian"
    exit 0
fi

directory=$(mktemp -d)
running=()
# shellcheck disable=SC2317
end() {
    for process in "${running[@]}"; do kill "$process" 2>/dev/null || true; done
    wait
    rm -rf "$directory"
}
trap end EXIT
chmod 755 "$directory"

for program in streamer sink; do
    compose/image-root.sh "$programs/$program" "$directory/$program"
    # As an engine does it for each container.
    cp /etc/hosts /etc/resolv.conf "$directory/$program/etc/"
    size=$(du --summarize --apparent-size --block-size=10000 "$directory/$program" | cut -f1)
    say "$program: $((size / 100)).$((size % 100 / 10)) MB, of it the program $(stat --format=%s "$directory/$program/usr/local/bin/$program") bytes"
    [ -z "$limit" ] || [ "$size" -le $((limit * 100)) ] || die "the image of $program is larger than $limit MB"
done

# as PROGRAM ARGUMENTS: sets `command` to what runs it as a container would: with nothing of this machine's environment.
as() {
    local program=$1
    shift
    command=(env --ignore-environment PATH=/usr/local/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "${environment[@]}"
        /usr/sbin/chroot --userspec=65532:65532 "$directory/$program" "/usr/local/bin/$program" "$@")
}

# inside PROGRAM ARGUMENTS: runs it so.
inside() {
    as "$@"
    "${command[@]}"
}

# becomes WHAT COMMAND: waits until a command succeeds.
becomes() {
    local what=$1 waited=0
    shift
    until "$@" >"$directory/said" 2>&1; do
        waited=$((waited + 1))
        if [ $waited -gt 240 ]; then
            tail -n 20 "$directory"/*.log "$directory/said" >&2
            die "it is not so after two minutes: $what"
        fi
        sleep 0.5
    done
    say "$what: $(head -c 200 "$directory/said")"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
rest=$(free_port) http=$(free_port)
environment=(
    BOOTSTRAP_SERVERS="$TEST_KAFKA" GROUP_ID=image CONFIG_STORAGE_TOPIC=image-configs OFFSET_STORAGE_TOPIC=image-offsets
    STATUS_STORAGE_TOPIC=image-status CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR=1 CONNECT_OFFSET_STORAGE_REPLICATION_FACTOR=1
    CONNECT_STATUS_STORAGE_REPLICATION_FACTOR=1 CONNECT_LISTENERS="http://0.0.0.0:$rest"
    SINK_SOURCE="$TEST_POSTGRES1" SINK_TARGET="$TEST_POSTGRES2" SINK_BOOTSTRAP_SERVERS="$TEST_KAFKA"
    SINK_CONNECT_URL="http://localhost:$rest" SINK_TOPIC_PREFIX=image SINK_HTTP_LISTEN="0.0.0.0:$http"
)
psql() { "$TEST_PG_BIN/psql" --quiet --no-align --tuples-only "$@"; }

! inside streamer health 2>/dev/null || die "a streamer that does not run is called well"
psql "$TEST_POSTGRES1" -c "CREATE TABLE image_row (id int PRIMARY KEY, what text); INSERT INTO image_row VALUES (1, 'copied')"
as streamer
"${command[@]}" >"$directory/streamer.log" 2>&1 &
running+=($!)
becomes "the streamer answers" inside streamer health --alive
becomes "the streamer is well" inside streamer health
as sink run
"${command[@]}" >"$directory/sink.log" 2>&1 &
running+=($!)
becomes "the sink is well" inside sink health
grep_row() { psql "$TEST_POSTGRES2" -c "SELECT what FROM image_row" | grep --line-regexp "$1"; }
becomes "a row is copied without pg_dump" grep_row copied
psql "$TEST_POSTGRES1" -c "UPDATE image_row SET what = 'streamed'"
becomes "a change is applied" grep_row streamed
