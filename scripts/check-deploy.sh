#!/usr/bin/env bash
# Reads what others run the programs with: Kubernetes' manifests by their schemas, as kustomize makes them, systemd's units, completions and
# man pages. Nothing is started. What it needs beside Python is asked for by the first run, and kept in the cache: kustomize is built where
# Go is there.
#
#   scripts/check-deploy.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

need python3 "apt install python3 python3-venv"
environment=target/deploy-environment
if [ ! -x $environment/bin/kubernetes-validate ]; then
    python3 -m venv $environment || die "Python's venv is missing. Install it: apt install python3-venv"
    $environment/bin/pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
fi

# Finds kustomize: sets `kustomize`, empty when there is none.
find_kustomize() {
    local version=v5.7.1 cache
    kustomize=""
    if command -v kustomize >/dev/null 2>&1; then
        kustomize="kustomize build"
    elif command -v kubectl >/dev/null 2>&1; then
        kustomize="kubectl kustomize"
    elif command -v go >/dev/null 2>&1; then
        cache=$(cache_directory)/kustomize-$version
        if [ ! -x "$cache/kustomize" ]; then
            say "building kustomize, once ..."
            GOBIN=$cache timeout 600 go install "sigs.k8s.io/kustomize/kustomize/v5@$version" 2>/dev/null || return 0
        fi
        kustomize="$cache/kustomize build"
    fi
}

made=target/deploy
rm -rf $made && mkdir -p $made
find_kustomize
if [ -n "$kustomize" ]; then
    for folder in compose/kubernetes/base compose/kubernetes/overlays/*/; do
        $kustomize "$folder" >"$made/$(basename "$folder").yaml"
    done
else
    say "no kustomize, kubectl or go here: the base is read as it is, and the overlays are not"
    for file in streamer sink; do
        cat compose/kubernetes/base/$file.yaml
        echo "---"
    done >$made/base.yaml
fi
$environment/bin/python scripts/check-deploy.py $made/*.yaml

if command -v systemd-analyze >/dev/null 2>&1; then
    # The programs that the units name are not installed here: they are read with one that is there everywhere.
    for unit in compose/systemd/*.service; do
        sed -E 's#/usr/local/bin/(streamer|sink)#/bin/true#' "$unit" >"$made/$(basename "$unit")"
    done
    systemd-analyze verify --man=no "$made"/*.service
    for unit in "$made"/*.service; do
        # In tenths, of ten: a unit without any protection has 9.6.
        systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" | tail -n 1
    done
else
    say "no systemd-analyze here: the units are not read"
fi

programs=${1:-target/debug}
for program in streamer sink; do
    "$programs/$program" completions bash >$made/$program.bash
    bash -c ". $made/$program.bash && complete -p $program" >/dev/null || die "bash does not take the completions of $program"
    for shell in zsh fish; do
        "$programs/$program" completions $shell >$made/$program.$shell
        ! command -v $shell >/dev/null 2>&1 || $shell -n $made/$program.$shell
    done
    "$programs/$program" man >/dev/null
    "$programs/$program" man --directory $made/man
done
if command -v groff >/dev/null 2>&1; then
    for page in $made/man/*.1; do
        groff -K utf8 -ww -man -Tutf8 "$page" 2>&1 >/dev/null | sed "s#^#$page: #" >&2
        [ -z "$(groff -K utf8 -ww -man -Tutf8 "$page" 2>&1 >/dev/null)" ] || die "groff warns of a man page"
    done
else
    say "no groff here: the man pages are not read"
fi
say "completions and man pages of both programs: $(find $made/man -name '*.1' | wc -l) pages"
