# Sourced by the other scripts: what must be on this machine, and how to get it.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# need PROGRAM HOW: ends with how to get a program that is missing.
need() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is missing. Install it: $2"
}

# Finds the container engine that runs here: sets `engine` to docker or podman, empty when there is none with compose, and
# `compose` to its compose command.
find_engine() {
    engine="" compose=""
    if command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
        engine=docker compose="docker compose"
    elif command -v podman >/dev/null 2>&1 && podman info >/dev/null 2>&1; then
        if podman compose version >/dev/null 2>&1; then
            engine=podman compose="podman compose"
        elif command -v podman-compose >/dev/null 2>&1; then
            engine=podman compose=podman-compose
        fi
    fi
}

# The three folders together. The pipeline's comes first: compose takes .env from the first file's folder.
COMPOSE_FILES="-f compose/pipeline/compose.yaml -f compose/reader/compose.yaml -f compose/writer/compose.yaml"

# Where the native stack keeps its data while it runs. A second one beside the first has another place, and other ports
# (POSTGRES1_PORT, POSTGRES2_PORT, KAFKA_PORT, WORKER_PORT, SINK_PORT).
NATIVE_STACK=${HEADWATER_STACK:-/var/tmp/headwater-stack}

# How the programs of the stack are built, in containers and without: demo, or release, which takes much longer and runs faster (Cargo.toml).
HEADWATER_PROFILE=${HEADWATER_PROFILE:-demo}
export HEADWATER_PROFILE
# Where the programs of the native stack are. Who has built them says so, and start-all.sh builds none.
NATIVE_PROGRAMS=${HEADWATER_PROGRAMS:-target/$HEADWATER_PROFILE}

# What building needs. The toolchain's version is in rust-toolchain.toml; rustup installs it by itself.
need_build_tools() {
    need cargo "https://rustup.rs"
    need cc "apt install build-essential, or your system's C and C++ compiler"
    need make "apt install make"
    need perl "apt install perl"
    need cmake "apt install cmake"
    need pkg-config "apt install pkg-config"
    pkg-config --exists openssl || die "OpenSSL's headers are missing. Install them: apt install libssl-dev"
    # librdkafka finds zlib, zstd and curl in their own crates; nothing else is needed.
}

# What the stack without containers downloads with, and runs on.
need_stack_tools() {
    need java "apt install openjdk-17-jre-headless, or your system's Java 17 or later"
    need mvn "apt install maven"
    need python3 "apt install python3 python3-pip"
    python3 -m pip --version >/dev/null 2>&1 || die "Python's pip is missing. Install it: apt install python3-pip"
}

# Where what is fetched or built once is kept, for all checkouts: the same folder as `stack fetch` has.
cache_directory() {
    if [ -n "${HEADWATER_CACHE:-}" ]; then
        printf '%s\n' "$HEADWATER_CACHE"
    elif [ "$(id -u)" = 0 ]; then
        printf '%s\n' /var/cache/headwater
    else
        printf '%s\n' "$HOME/.cache/headwater"
    fi
}
