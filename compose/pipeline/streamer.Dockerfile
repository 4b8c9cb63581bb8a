# Built from the repository's root.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ libssl-dev make perl pkg-config && rm -rf /var/lib/apt/lists/*
# The image's own toolchain: rust-toolchain.toml would have rustup fetch clippy and rustfmt for nothing.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p streamer && cp target/release/streamer /streamer

# It has libssl and the public authorities.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /streamer /usr/local/bin/streamer
EXPOSE 8083
ENTRYPOINT ["/usr/local/bin/streamer"]
