#!/usr/bin/env bash
# Runs the parity scenarios against the streamer and compares its records with those that Debezium wrote.
# PIPELINE=debezium runs them against Debezium itself. Arguments go to parity.py: scripts/parity.sh --only 48-toast
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

need_build_tools
need_stack_tools
environment=target/parity-environment
if [ ! -x $environment/bin/python ]; then
    python3 -m venv $environment || die "Python's venv is missing. Install it: apt install python3-venv"
    $environment/bin/pip install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9" confluent-kafka==2.16.1
fi
cargo build --locked -p streamer -p sink -p stack
export PARITY_PYTHON=$environment/bin/python
exec target/debug/stack run --worker "${PIPELINE:-streamer}" -- bash -c '
    PATH=$TEST_PG_BIN:$PATH
    server=${TEST_POSTGRES1#*@}
    exec "$PARITY_PYTHON" tests/parity/parity.py check --rest "$TEST_REST" --pg "${server%/*}" --kafka "$TEST_KAFKA" "$@"
' parity "$@"
