#!/bin/sh
# Runs a command in the environment that testcontainers-go needs on this machine.
#
#   test-env.sh go test ./...
set -eu

# A local engine publishes ports on the loopback address. When it runs inside a container, testcontainers-go would look
# for them at the gateway instead.
if [ -z "${DOCKER_HOST:-}" ] && [ -z "${TESTCONTAINERS_HOST_OVERRIDE:-}" ]; then
	export TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1
fi
# Its reaper is an image. If that is not available, the tests clean up by themselves.
reaper=testcontainers/ryuk:0.14.0
if [ -z "${TESTCONTAINERS_RYUK_DISABLED:-}" ] && ! docker image inspect "$reaper" >/dev/null 2>&1; then
	timeout 60 docker pull -q "$reaper" >/dev/null 2>&1 || export TESTCONTAINERS_RYUK_DISABLED=true
fi
exec "$@"
