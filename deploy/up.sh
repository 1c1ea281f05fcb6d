#!/bin/sh
# Starts the bundle, with what a profile adds, and waits until it serves.
#
#   up.sh PROFILE|'' docker compose
set -eu
cd "$(dirname "$0")/.."

profile=$1
shift

case $profile in
'') "$@" up -d ;;
observability)
	PROMETHEUS_IMAGE=$(deploy/images/resolve.sh prometheus)
	REDIS_EXPORTER_IMAGE=$(deploy/images/resolve.sh redis-exporter)
	export PROMETHEUS_IMAGE REDIS_EXPORTER_IMAGE COMPOSE_PROFILES=$profile
	if GRAFANA_IMAGE=$(deploy/images/resolve.sh grafana); then
		export GRAFANA_IMAGE
		"$@" up -d
		grafana='Grafana: http://127.0.0.1:3000'
	else
		# Its service stays away; everything else runs. The dashboards can be imported into a Grafana elsewhere.
		"$@" up -d $("$@" config --services | grep -vx grafana)
		grafana='no Grafana: its image cannot be had here'
	fi
	;;
*) echo "up.sh: unknown profile $profile; there is observability" >&2; exit 2 ;;
esac
deploy/wait-ready.sh
if [ -n "$profile" ]; then echo "Prometheus: http://127.0.0.1:9090; $grafana"; fi
