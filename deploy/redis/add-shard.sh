#!/bin/sh
# Adds a shard to a cluster that serves: a master and its replica take their part of the slots from the other shards, one slot after
# the other, while all sessions stay in reach. docs/scale.md says when, and what to look at.
#
#   add-shard.sh ANY MASTER REPLICA     each HOST:PORT: a node of the cluster, and two nodes that run, on different VMs, and are empty
#
# $REDIS_CLI holds further options of redis-cli, such as --user NAME or --tls; $REDISCLI_AUTH the password. The user needs all
# commands: with the keys of a slot, MIGRATE moves their content. If the script is cut off, run it again: it goes on where it was,
# with the two nodes in turned order if the replica has taken over in between.
set -eu

[ $# -eq 3 ] || {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
any=$1 master=$2 replica=$3

say() { echo "add-shard: $*"; }
fail() {
	say "$*" >&2
	exit 1
}
# at HOST:PORT COMMAND... asks one node. An error that it answers is a failure.
# shellcheck disable=SC2086 # the options are words
at() {
	node=$1
	shift
	timeout 5 redis-cli -e ${REDIS_CLI:-} -h "${node%:*}" -p "${node##*:}" "$@" </dev/null
}
# cluster WHAT ADDRESS... lets redis-cli look at the cluster as a whole, or change it.
# shellcheck disable=SC2086
cluster() { redis-cli ${REDIS_CLI:-} --cluster "$@" </dev/null 2>&1; }
# manage is cluster. What redis-cli prints is shown if it fails.
manage() {
	if ! printed=$(cluster "$@"); then
		echo "$printed" >&2
		fail "redis-cli --cluster $1 failed"
	fi
}

# until_so WHAT COMMAND... runs a command until it succeeds, for a minute.
until_so() {
	what=$1
	shift
	end=$(($(date +%s) + 60))
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || fail "not within a minute: $what"
		sleep 0.2
	done
}
# answers HOST:PORT tells whether a node serves.
answers() { [ "$(at "$1" ping 2>/dev/null)" = PONG ]; }
# known ID tells whether every node of the cluster is connected with another one, which has this ID. A node that does not know it yet could
# take the next step for a mistake.
known() {
	addrs=$(at "$any" cluster nodes | awk '{ sub(/@.*/, "", $2); print $2 }')
	[ -n "$addrs" ] || return 1
	for n in $addrs; do
		at "$n" cluster nodes | grep -Eq "^$1 .*( myself,| connected)" || return 1
	done
}
# follows ID tells whether the replica has a link to its master, which has this ID.
follows() { at "$replica" cluster nodes | grep -q "myself,slave $1 " && at "$replica" info replication | grep -q '^master_link_status:up'; }
# agreed tells whether all nodes see the same owner of each slot, and no slot is being moved.
agreed() { cluster check "$any" >/dev/null; }

# join HOST:PORT makes the cluster know a node.
join() {
	id=$(at "$1" cluster myid)
	if ! at "$any" cluster nodes | grep -q "^$id "; then
		say "$1 joins"
		manage add-node "$1" "$any"
	fi
	until_so "every node knows $1" known "$id"
}

# No node may be missing, or redis-cli would go by what it cannot see; and an empty master beside the new one would get slots too.
nodes=$(at "$any" cluster nodes)
if echo "$nodes" | grep -E '^[^ ]+ [^ ]+ [^ ]*(fail|noaddr|handshake)' >&2; then
	fail "these nodes are out of reach: bring them back first, or forget them (CLUSTER FORGET)"
fi
for n in "$master" "$replica"; do until_so "$n answers" answers "$n"; done
new=$(at "$master" cluster myid)
spare=$(at "$replica" cluster myid)
if echo "$nodes" | awk -v new="$new" -v spare="$spare" '$3 ~ /master/ && NF == 8 && $1 != new && $1 != spare { print; found = 1 } END { exit !found }' >&2; then
	fail "these masters have no slots, and would get some too: make them replicas first, or forget them"
fi

# The replica comes before the first slot, so that no session ever has one copy only.
join "$master"
join "$replica"
if ! at "$replica" cluster nodes | grep -q "myself,slave $new "; then
	say "$replica follows $master"
	at "$replica" cluster replicate "$new" >/dev/null
fi
until_so "$replica follows $master" follows "$new"

if cluster check "$any" | grep -q 'slots are open'; then
	say "closing slots that a move has left open"
	manage fix "$any"
fi
until_so "all nodes agree on who has which slots" agreed
say "moving slots"
manage rebalance "$any" --cluster-use-empty-masters --cluster-pipeline 100
until_so "all nodes agree on who has which slots" agreed
say "done: $(at "$any" cluster info | grep '^cluster_size' | tr -d '\r')"
