#!/bin/sh
# Starts the bundle, including the services of a profile, and waits until it serves.
#
#   up.sh PROFILE|'' docker compose
set -eu
cd "$(dirname "$0")/.."

profile=$1
shift

# Nodes read the rules for their users when they start. With other rules, Compose makes them anew.
SESSIOND_RULES=$(cat deploy/redis/*.acl | cksum | tr ' ' -)
export SESSIOND_RULES

case $profile in
'' | tls) "$@" up -d ;;
observability)
	PROMETHEUS_IMAGE=$(deploy/images/resolve.sh prometheus)
	REDIS_EXPORTER_IMAGE=$(deploy/images/resolve.sh redis-exporter)
	export PROMETHEUS_IMAGE REDIS_EXPORTER_IMAGE COMPOSE_PROFILES=$profile
	if GRAFANA_IMAGE=$(deploy/images/resolve.sh grafana); then
		export GRAFANA_IMAGE
		"$@" up -d
		grafana='Grafana: http://127.0.0.1:3000'
	else
		# Start everything but Grafana. The dashboards can be imported into a Grafana elsewhere.
		"$@" up -d $("$@" config --services | grep -vx grafana)
		grafana='no Grafana: its image is not available here'
	fi
	;;
*) echo "up.sh: unknown profile $profile; there are observability and tls" >&2; exit 2 ;;
esac
if [ "$profile" = tls ]; then
	mkdir -p out
	docker cp "$("$@" ps -q sessiond-1):/secrets/ca.pem" out/ca.pem >/dev/null
	deploy/wait-ready.sh https --cacert out/ca.pem
	echo "certificates of this bundle are from out/ca.pem"
	exit
fi
deploy/wait-ready.sh http
if [ -n "$profile" ]; then echo "Prometheus: http://127.0.0.1:9090; $grafana"; fi
