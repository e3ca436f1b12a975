# docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) .
#
# `make image` builds the last stage with what cargo built outside in place of the stage `build`.

FROM docker.io/library/rust:1.95-bookworm AS toolchain
RUN apt-get update \
    && apt-get install --yes --no-install-recommends protobuf-compiler \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source

FROM toolchain AS build
ARG TARGETARCH
ARG REVISION
COPY Cargo.toml Cargo.lock Makefile ./
COPY benches benches
COPY tests tests
COPY src src
RUN make binary sbom TARGETARCH="$TARGETARCH" REVISION="$REVISION" && cp target/image/build/* /

FROM scratch
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="secateur" \
      org.opencontainers.image.description="Deletes container images from Kubernetes nodes: on request, safely, and says exactly what it did" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /secateur /secateur.cdx.json /
# The chart lets agents be root: the socket of containerd is root's.
USER 65532:65532
ENTRYPOINT ["/secateur"]
