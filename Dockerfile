# The published images, one target each:
#   docker build --target operator -t tetrarch/operator:0.1.0 .
# Targets: operator, supervisor, agent-sidecar, licence-agents. NATS is the upstream image.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --bins \
      -p tetrarch-operator -p tetrarch-supervisor -p tetrarch-agent-sidecar -p licence-agents \
 && mkdir /out \
 && cp target/release/tetrarch-operator target/release/tetrarch-supervisor target/release/tetrarch-agent-sidecar \
       target/release/licence-agents /out/ \
 && /out/licence-agents gather --out /out/dataset

# glibc, CA certificates, /etc/passwd with the user 65532; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
USER 65532:65532

FROM base AS operator
COPY --from=build /out/tetrarch-operator /tetrarch-operator
ENTRYPOINT ["/tetrarch-operator"]

FROM base AS supervisor
COPY --from=build /out/tetrarch-supervisor /tetrarch-supervisor
ENTRYPOINT ["/tetrarch-supervisor"]

FROM base AS agent-sidecar
COPY --from=build /out/tetrarch-agent-sidecar /tetrarch-agent-sidecar
ENTRYPOINT ["/tetrarch-agent-sidecar"]

FROM base AS licence-agents
COPY --from=build /out/licence-agents /licence-agents
COPY --from=build /out/dataset/dataset.json /data/dataset.json
ENTRYPOINT ["/licence-agents"]
