#!/usr/bin/env bash
# Reads every compose file as an engine would: each folder alone, the three together under both profiles, and with observability.
# With docker compose here it is asked; otherwise podman-compose from PyPI, which only reads and starts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if docker compose version >/dev/null 2>&1; then
    reader="docker compose"
else
    need python3 "apt install python3 python3-venv"
    environment=target/compose-environment
    if [ ! -x $environment/bin/podman-compose ]; then
        python3 -m venv $environment || die "Python's venv is missing. Install it: apt install python3-venv"
        $environment/bin/pip install --quiet --disable-pip-version-check podman-compose==1.6.0
    fi
    reader=$environment/bin/podman-compose
    if ! command -v podman >/dev/null 2>&1; then
        # Before it reads a file it asks podman for its version, and for nothing else.
        printf '#!/bin/sh\necho podman version 5.0.0\n' >$environment/bin/podman
        chmod +x $environment/bin/podman
        reader="$reader --podman-path $environment/bin/podman"
    fi
fi

# expect PROFILE FILES SERVICES: the files together have exactly these services.
expect() {
    local found
    found=$(COMPOSE_PROFILES=$1 $reader $2 config | python3 -c '
import re, sys
# The services are the keys of the second level under "services:".
inside, names = False, []
for line in sys.stdin:
    if not line.startswith(" "):
        inside = line.rstrip() == "services:"
    elif inside and (name := re.match(r"  ([a-z0-9-]+):$", line)):
        names.append(name[1])
print(*sorted(names))')
    [ "$found" = "$3" ] || die "compose $2 under profile $1 has the services \"$found\", \"$3\" was expected"
    say "$2 ($1): $found"
}

expect streamer "-f compose/reader/compose.yaml" "postgres1"
expect streamer "-f compose/pipeline/compose.yaml" "console kafka streamer"
expect debezium "-f compose/pipeline/compose.yaml" "console debezium kafka"
expect streamer "-f compose/writer/compose.yaml" "postgres2 sink"
expect streamer "$COMPOSE_FILES" "console kafka postgres1 postgres2 sink streamer"
expect debezium "$COMPOSE_FILES" "console debezium kafka postgres1 postgres2 sink"
expect observability "-f compose/observability/compose.yaml" "grafana prometheus"
expect streamer,observability "$COMPOSE_FILES -f compose/observability/compose.yaml" \
    "console grafana kafka postgres1 postgres2 prometheus sink streamer"

# Every file that a service mounts or is built from is there, seen from each folder.
for file in compose/*/compose.yaml; do
    for path in $(sed -nE 's/^ *(- |dockerfile: )(\.\.\/[^:]*|compose\/[^:]*).*$/\2/p' "$file"); do
        case $path in
        ../*) [ -e "$(dirname "$file")/$path" ] ;;
        *) [ -e "$path" ] ;;
        esac || die "$file names $path, which is not there"
    done
    # Without a registry in front podman asks which one is meant, or refuses.
    for image in $(sed -nE 's/^ *image: ([^ ]*).*$/\1/p' "$file"); do
        case $image in
        headwater/* | *.*/*) ;;
        *) die "$file: the image $image has no registry in front" ;;
        esac
    done
    # Where SELinux is, a container reads only what is labelled for it.
    for mount in $(sed -nE 's/^ *- (\.\.\/[^ ]*).*$/\1/p' "$file"); do
        case $mount in *:ro,z) ;; *) die "$file: $mount is not mounted as ro,z" ;; esac
    done
done
# Grafana refuses a dashboard that is called like the folder that it is provisioned into, and the rest starts as if nothing were.
grafana=compose/observability/grafana
folder=$(sed -nE 's/^ *folder: (.*)$/\1/p' $grafana/provisioning/dashboards/headwater.yml)
title=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["title"])' $grafana/dashboards/headwater.json)
[ -n "$folder" ] && [ "${folder,,}" != "${title,,}" ] || die "the dashboard \"$title\" and its folder \"$folder\" need two names"
for program in streamer sink; do
    grep -q "^FROM .* AS $program\$" compose/Dockerfile || die "compose/Dockerfile has no target $program"
done
