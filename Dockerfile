# Where no registry can be reached, deploy/images/build.sh makes the builder image.
ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /sessiond ./cmd/sessiond

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /sessiond /sessiond
USER 65532:65532
ENV SESSIOND_LISTEN=0.0.0.0:8080 SESSIOND_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["/sessiond", "healthcheck"]
ENTRYPOINT ["/sessiond"]
