# Built from the repository's root.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ libssl-dev make perl pkg-config && rm -rf /var/lib/apt/lists/*
# The image's own toolchain: rust-toolchain.toml would have rustup fetch clippy and rustfmt for nothing.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p sink && cp target/release/sink /sink

FROM debian:bookworm-slim
# pg_dump and pg_restore of the servers' version, from PostgreSQL's own packages.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-17 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home sink
COPY --from=build /sink /usr/local/bin/sink
USER 10001
EXPOSE 8084
ENTRYPOINT ["/usr/local/bin/sink"]
