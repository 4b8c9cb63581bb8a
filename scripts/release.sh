#!/usr/bin/env bash
# What is given to others of a version: for each program a tarball with it, its completions, man pages, systemd unit, licence and SBOM
# (CycloneDX), and SHA256SUMS over them, in target/dist. A cold build takes some twenty minutes on two cores.
#
#   scripts/release.sh              builds and packs
#   scripts/release.sh --deny       looks at licences, sources and advisories of the dependencies first (cargo-deny)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

# tool NAME VERSION: a cargo subcommand, built once into the cache: some minutes each.
cache=$(cache_directory)/tools
export PATH=$cache/bin:$PATH
tool() {
    command -v "cargo-$1" >/dev/null 2>&1 && return
    say "building cargo-$1, once ..."
    cargo install --quiet --locked --root "$cache" "cargo-$1@$2"
}

need_build_tools
if [ "${1:-}" = --deny ]; then
    tool deny 0.20.2
    # The advisories are in a repository of their own, which is fetched.
    cargo deny --locked check || die "cargo deny refuses a dependency. Without the advisories: cargo deny check bans licenses sources"
fi
tool cyclonedx 0.5.9

cargo build --release --locked -p streamer -p sink
version=$(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
print(next(each["version"] for each in json.load(sys.stdin)["packages"] if each["name"] == "streamer"))')
target=$(rustc -vV | sed -n 's/^host: //p')
# The same commit gives the same tarballs.
when=$(git log -1 --format=%ct)
rm -rf target/dist && mkdir -p target/dist

# It writes beside the manifest of each crate, and nowhere else.
boms() { rm -f ./*/headwater.cdx.json ./fuzz/*/headwater.cdx.json; }
trap boms EXIT
SOURCE_DATE_EPOCH=$when cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --override-filename headwater.cdx

for program in streamer sink; do
    name=headwater-$program-$version-$target
    directory=target/dist/$name
    mkdir -p "$directory/completions" "$directory/systemd"
    install -m 755 "target/release/$program" "$directory/"
    strip "$directory/$program"
    "$directory/$program" completions bash >"$directory/completions/$program"
    "$directory/$program" completions zsh >"$directory/completions/_$program"
    "$directory/$program" completions fish >"$directory/completions/$program.fish"
    "$directory/$program" man --directory "$directory/man/man1"
    cp "compose/systemd/$program.service" "$directory/systemd/"
    cp LICENSE CHANGELOG.md "$directory/"
    cp "$program/headwater.cdx.json" "$directory/sbom.cdx.json"
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" -C target/dist -c "$name" | gzip -n >"$directory.tar.gz"
done
(cd target/dist && sha256sum -- *.tar.gz >SHA256SUMS && cat SHA256SUMS)
