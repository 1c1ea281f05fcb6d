#!/bin/sh
# Adds a shard to a cluster that serves: a master and its replica take their part of the slots from the other shards, one slot after
# the other, while all sessions stay in reach. docs/scale.md says when, and what to look at.
#
#   add-shard.sh ANY MASTER REPLICA     each HOST:PORT: a node of the cluster, and two nodes that run, on different VMs, and are empty
#
# $REDIS_CLI holds further options of redis-cli, such as --user NAME or --tls; $REDISCLI_AUTH the password. The user needs all
# commands: with the keys of a slot, MIGRATE moves their content. If the script is cut off, run it again: it goes on where it was.
set -eu

[ $# -eq 3 ] || {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
any=$1 master=$2 replica=$3

say() { echo "add-shard: $*"; }
# at HOST:PORT COMMAND... asks one node.
# shellcheck disable=SC2086 # the options are words
at() {
	node=$1
	shift
	redis-cli ${REDIS_CLI:-} -h "${node%:*}" -p "${node##*:}" "$@"
}
# shellcheck disable=SC2086
manage() { redis-cli ${REDIS_CLI:-} --cluster "$@"; }

# until_so WHAT COMMAND... runs a command until it succeeds, for a minute.
until_so() {
	what=$1
	shift
	for _ in $(seq 300); do
		if "$@"; then return; fi
		sleep 0.2
	done
	say "not within a minute: $what" >&2
	exit 1
}
# Every node must know a new one before the next step, or one of them could take the step for a mistake.
known() { for n in $(at "$any" cluster nodes | sed -n 's/^[^ ]* \([^@ ]*\)@.*/\1/p'); do at "$n" cluster nodes | grep -q "^$1 .*connected" || return 1; done; }
follows() { at "$replica" info replication | grep -q '^master_link_status:up'; }
agreed() { manage check "$any" >/dev/null; }

# join HOST:PORT makes the cluster know a node.
join() {
	id=$(at "$1" cluster myid)
	if ! at "$any" cluster nodes | grep -q "^$id "; then
		say "$1 joins"
		manage add-node "$1" "$any" >/dev/null
	fi
	until_so "every node knows $1" known "$id"
}

# The replica comes before the first slot, so that no session ever has one copy only.
join "$master"
leader=$(at "$master" cluster myid)
join "$replica"
if ! at "$replica" cluster nodes | grep -q "myself,slave $leader "; then
	say "$replica follows $master"
	at "$replica" cluster replicate "$leader" >/dev/null
fi
until_so "$replica follows $master" follows

if ! agreed; then
	say "closing slots that a move has left open"
	manage fix "$any" >/dev/null
fi
until_so "all nodes agree on who has which slots" agreed
say "moving slots"
manage rebalance "$any" --cluster-use-empty-masters --cluster-pipeline 100 >/dev/null
until_so "all nodes agree on who has which slots" agreed
say "done: $(at "$master" cluster info | grep '^cluster_size' | tr -d '\r')"
