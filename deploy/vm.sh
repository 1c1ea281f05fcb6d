#!/bin/sh
# Kills or starts one of the bundle's VMs: the containers with its label.
#
#   vm.sh kill 2     like a power cut: the network goes first, so that no FIN or RST is sent
#   vm.sh start 2
set -eu

usage() { echo "usage: vm.sh kill|start 1|2|3" >&2; exit 2; }
case "${1:-}" in kill | start) ;; *) usage ;; esac
case "${2:-}" in 1 | 2 | 3) ;; *) usage ;; esac

project=${COMPOSE_PROJECT_NAME:-sessiond}
network=${project}_sessiond
vm=vm$2

containers() { docker ps -q "$@" --filter "label=com.docker.compose.project=$project" --filter "label=sessiond.vm=$vm"; }
label() { docker inspect -f "{{index .Config.Labels \"$2\"}}" "$1"; }
connected() { [ -n "$(docker inspect -f "{{with index .NetworkSettings.Networks \"$network\"}}yes{{end}}" "$1")" ]; }

if [ -z "$(containers -a)" ]; then
	echo "vm.sh: $vm has no containers: is the bundle up?" >&2
	exit 1
fi

case $1 in
kill)
	for c in $(containers); do
		if connected "$c"; then docker network disconnect -f "$network" "$c"; fi
	done
	for c in $(containers); do docker kill "$c" >/dev/null; done
	;;
start)
	for c in $(containers -a); do
		if ! connected "$c"; then
			docker network connect --ip "$(label "$c" sessiond.ip)" \
				--alias "$(label "$c" com.docker.compose.service)" --alias "$(label "$c" sessiond.host)" "$network" "$c"
		fi
		docker start "$c" >/dev/null
	done
	;;
esac
