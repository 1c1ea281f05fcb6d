#!/bin/sh
# Prints the image to use for redis or golang: the one that the environment names (REDIS_IMAGE, GO_IMAGE), else the
# public one if it is here or can be pulled, else one made by build.sh.
#
#   REDIS_IMAGE=$(deploy/images/resolve.sh redis)
set -eu

case ${1:-} in
redis) chosen=${REDIS_IMAGE:-} public=redis:8 ;;
golang) chosen=${GO_IMAGE:-} public=golang:1.26 ;;
*) echo "usage: resolve.sh redis|golang" >&2; exit 2 ;;
esac
local=sessiond-local/$public

have() { docker image inspect "$1" >/dev/null 2>&1; }

if [ -n "$chosen" ]; then
	echo "$chosen"
elif have "$public"; then
	echo "$public"
elif have "$local"; then
	echo "$local"
elif timeout 120 docker pull -q "$public" >/dev/null 2>&1; then
	echo "$public"
else
	echo "$public cannot be pulled: building $local from Debian packages" >&2
	"$(dirname "$0")/build.sh" "$1" >&2
	echo "$local"
fi
