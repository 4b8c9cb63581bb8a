#!/usr/bin/env bash
# psql on one of the two databases that start-all.sh started: scripts/psql.sh postgres1 -c "SELECT count(*) FROM devices"
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

case "${1:-}" in
postgres1) port=${POSTGRES1_PORT:-5433} ;;
postgres2) port=${POSTGRES2_PORT:-5434} ;;
*) die "usage: scripts/psql.sh postgres1|postgres2 [psql's arguments]" ;;
esac
server=$1
shift
if [ -d "$NATIVE_STACK" ]; then
    exec "$("$NATIVE_PROGRAMS/stack" pg-bin)/psql" "postgres://postgres:postgres@127.0.0.1:$port/omedb" "$@"
fi
find_engine
[ -n "$engine" ] && $engine inspect "headwater-$server" >/dev/null 2>&1 ||
    die "$server does not run: run scripts/start-all.sh first"
terminal=""
[ -t 0 ] && terminal=--tty
exec $engine exec --interactive $terminal "headwater-$server" psql -U postgres omedb "$@"
