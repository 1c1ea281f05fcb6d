# If no registry can be reached, deploy/images/build.sh builds this image.
ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Set by `make image`: what git describe and git rev-parse HEAD say.
ARG VERSION=unknown
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.stampedVersion=${VERSION} -X main.stampedCommit=${COMMIT}" -o /sessiond ./cmd/sessiond

FROM scratch
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="sessiond" \
      org.opencontainers.image.description="User sessions with TTLs over HTTP, kept in a Redis Cluster." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.source="https://github.com/sessiond/sessiond" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /sessiond /sessiond
USER 65532:65532
ENV SESSIOND_LISTEN=0.0.0.0:8080 SESSIOND_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["/sessiond", "healthcheck"]
ENTRYPOINT ["/sessiond"]
