#!/bin/sh
# Builds equivalents of the public base images for when no registry can be reached: sessiond-local/redis:8 and :7.0,
# sessiond-local/valkey:8.1, sessiond-local/prometheus:2 and sessiond-local/redis-exporter:1 from Debian packages, and
# sessiond-local/golang:1.26 from the host's own Go and certificates. Needs root, debootstrap and a Docker engine. Packages come from debootstrap's default
# mirror.
#
#   build.sh redis|redis-8.0|redis-7.0|valkey-8.1|golang|prometheus|redis-exporter...
set -eu

suite=trixie # Redis 8.0, Valkey 8.1, Prometheus 2.53; bookworm has Redis 7.0
base=sessiond-local/debian:$suite

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }

build_base() {
	if have $base; then return; fi
	if ! command -v debootstrap >/dev/null; then
		apt-get update -qq && apt-get install -qq -y debootstrap
	fi
	debootstrap --variant=minbase $suite "$work/$suite" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
	rm -rf "$work/$suite"/var/cache/apt/archives/*.deb
	tar -C "$work/$suite" -c . | docker import - $base >/dev/null
}

# build_store TAG NAME: NAME is redis or valkey. The programs of both are called redis-server and redis-cli, as in the public images.
build_store() {
	build_base
	docker build -q -t "$1" - <<-EOF
		FROM $base
		RUN apt-get update -qq \
		 && apt-get install -qq -y --no-install-recommends $2-server \
		 && rm -rf /var/lib/apt/lists/* \
		 && for name in server cli; do [ -e /usr/bin/redis-\$name ] || ln -s $2-\$name /usr/bin/redis-\$name; done \
		 && mkdir -p /data && chown $2:$2 /data
		VOLUME /data
		WORKDIR /data
		USER $2
		EXPOSE 6379
		CMD ["redis-server"]
	EOF
}

build_redis() { build_store sessiond-local/redis:8 redis; }

build_golang() {
	build_base
	mkdir -p "$work/golang"
	cp -rL "$(go env GOROOT)" "$work/golang/go"
	cp /etc/ssl/certs/ca-certificates.crt "$work/golang/"
	cat >"$work/golang/Dockerfile" <<-EOF
		FROM $base
		COPY go /usr/local/go
		COPY ca-certificates.crt /etc/ssl/certs/
		ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
	EOF
	docker build -q -t sessiond-local/golang:1.26 "$work/golang"
}

build_prometheus() {
	build_base
	docker build -q -t sessiond-local/prometheus:2 - <<-EOF
		FROM $base
		RUN printf 'exit 101' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
		 && apt-get update -qq \
		 && apt-get install -qq -y --no-install-recommends prometheus \
		 && rm -rf /var/lib/apt/lists/* \
		 && mkdir -p /prometheus && chown prometheus:prometheus /prometheus
		VOLUME /prometheus
		WORKDIR /prometheus
		USER prometheus
		EXPOSE 9090
		ENTRYPOINT ["prometheus"]
		CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
	EOF
}

build_redis_exporter() {
	build_base
	docker build -q -t sessiond-local/redis-exporter:1 - <<-EOF
		FROM $base
		RUN printf 'exit 101' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
		 && apt-get update -qq \
		 && apt-get install -qq -y --no-install-recommends prometheus-redis-exporter \
		 && rm -rf /var/lib/apt/lists/* \
		 && ln -s /usr/bin/prometheus-redis-exporter /redis_exporter
		USER nobody
		EXPOSE 9121
		ENTRYPOINT ["/redis_exporter"]
	EOF
}

for image in "$@"; do
	case $image in
	redis | golang | prometheus) build_$image ;;
	redis-8.0) build_redis ;;
	redis-7.0) (suite=bookworm base=sessiond-local/debian:bookworm && build_store sessiond-local/redis:7.0 redis) ;;
	valkey-8.1) build_store sessiond-local/valkey:8.1 valkey ;;
	redis-exporter) build_redis_exporter ;;
	*) echo "build.sh: unknown image $image" >&2; exit 2 ;;
	esac
done
