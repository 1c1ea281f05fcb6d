#!/bin/sh
# Waits until both instances of the bundle answer /readyz with 200, for up to a minute.
#
#   wait-ready.sh http|https [curl's options]
set -eu

scheme=$1
shift
deadline=$(($(date +%s) + 60))
for port in 8080 8081; do
	until curl -sf -o /dev/null -m 2 "$@" "$scheme://127.0.0.1:$port/readyz"; do
		if [ "$(date +%s)" -ge "$deadline" ]; then
			echo "the instance on port $port is not ready:" >&2
			curl -s -m 2 "$@" "$scheme://127.0.0.1:$port/readyz?verbose" >&2 || true
			exit 1
		fi
		sleep 0.2
	done
done
echo "ready: $scheme://127.0.0.1:8080 and $scheme://127.0.0.1:8081"
