#!/usr/bin/env bash
# Starts a Grafana that is on this machine with compose/observability's provisioning: it takes all of it without an error, has the
# dashboard whole, and runs the query of every panel against a Prometheus. Some seconds; what it writes is removed.
#
#   [GRAFANA_HOME=/usr/share/grafana] [PROMETHEUS_URL=http://127.0.0.1:9090] scripts/check-grafana.sh
#
# GRAFANA_SERVER is the command of the server where it is not in GRAFANA_HOME's bin.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

need python3 "apt install python3"
home=${GRAFANA_HOME:-/usr/share/grafana}
[ -f "$home/conf/defaults.ini" ] || die "GRAFANA_HOME=$home has no conf/defaults.ini: it is the folder that Grafana was unpacked to, or its package's"
if [ -n "${GRAFANA_SERVER:-}" ]; then
    read -ra server <<<"$GRAFANA_SERVER"
elif [ -x "$home/bin/grafana" ]; then
    server=("$home/bin/grafana" server)
elif [ -x "$home/bin/grafana-server" ]; then
    server=("$home/bin/grafana-server")
else
    die "$home/bin has neither grafana nor grafana-server: say GRAFANA_SERVER"
fi
command -v "${server[0]}" >/dev/null 2>&1 || die "GRAFANA_SERVER: ${server[0]} is no program"

exec python3 scripts/check-grafana.py "$home" "${PROMETHEUS_URL:-http://127.0.0.1:9090}" "${server[@]}"
