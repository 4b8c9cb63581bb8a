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

# The container engine that runs here: docker or podman with compose; nothing when there is none.
container_engine() {
    if command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
        echo "docker compose"
    elif command -v podman >/dev/null 2>&1 && podman info >/dev/null 2>&1; then
        if podman compose version >/dev/null 2>&1; then
            echo "podman compose"
        elif command -v podman-compose >/dev/null 2>&1; then
            echo "podman-compose"
        fi
    fi
}

# What building needs. The toolchain's version is in rust-toolchain.toml; rustup installs it by itself.
need_build_tools() {
    need cargo "https://rustup.rs"
    need cc "apt install build-essential, or your system's C compiler"
    need make "apt install make"
    need perl "apt install perl"
    # librdkafka finds zlib and zstd in their own crates; nothing else is needed.
}
