#!/bin/sh
# Prints the image to use for one of the names below: the one named in the environment (REDIS_IMAGE, GO_IMAGE,
# PROMETHEUS_IMAGE, REDIS_EXPORTER_IMAGE, GRAFANA_IMAGE), else the public one if it is present or can be pulled, else one
# that build.sh builds. Debian has no package for Grafana: without a registry this prints nothing for it, and fails.
#
#   REDIS_IMAGE=$(deploy/images/resolve.sh redis)
set -eu

case ${1:-} in
redis-8.0) chosen='' public=redis:8.0 local=sessiond-local/redis:8 ;;
redis-7.0) chosen='' public=redis:7.0 local=sessiond-local/redis:7.0 ;;
valkey-8.1) chosen='' public=valkey/valkey:8.1 local=sessiond-local/valkey:8.1 ;;
redis) chosen=${REDIS_IMAGE:-} public=redis:8 local=sessiond-local/redis:8 ;;
golang) chosen=${GO_IMAGE:-} public=golang:1.26 local=sessiond-local/golang:1.26 ;;
prometheus) chosen=${PROMETHEUS_IMAGE:-} public=prom/prometheus:v2.53.5 local=sessiond-local/prometheus:2 ;;
redis-exporter) chosen=${REDIS_EXPORTER_IMAGE:-} public=oliver006/redis_exporter:v1.74.0-alpine local=sessiond-local/redis-exporter:1 ;;
grafana) chosen=${GRAFANA_IMAGE:-} public=grafana/grafana:11.6.0 local='' ;;
*) echo "usage: resolve.sh redis|redis-8.0|redis-7.0|valkey-8.1|golang|prometheus|redis-exporter|grafana" >&2; exit 2 ;;
esac

have() { docker image inspect "$1" >/dev/null 2>&1; }

if [ -n "$chosen" ]; then
	echo "$chosen"
elif have "$public"; then
	echo "$public"
elif [ -n "$local" ] && have "$local"; then
	echo "$local"
elif timeout 120 docker pull -q "$public" >/dev/null 2>&1; then
	echo "$public"
elif [ -z "$local" ]; then
	echo "$public cannot be pulled, and there is no Debian package to build it from" >&2
	exit 1
else
	echo "$public cannot be pulled: building $local from Debian packages" >&2
	"$(dirname "$0")/build.sh" "$1" >&2
	echo "$local"
fi
