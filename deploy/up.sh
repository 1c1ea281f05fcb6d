#!/bin/sh
# Starts the bundle, including the services of a profile, and waits until it serves.
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
		# Start everything but Grafana. The dashboards can be imported into a Grafana elsewhere.
		"$@" up -d $("$@" config --services | grep -vx grafana)
		grafana='no Grafana: its image is not available here'
	fi
	;;
*) echo "up.sh: unknown profile $profile; the only one is observability" >&2; exit 2 ;;
esac
deploy/wait-ready.sh
if [ -n "$profile" ]; then echo "Prometheus: http://127.0.0.1:9090; $grafana"; fi
