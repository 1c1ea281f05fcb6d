#!/bin/sh
# Starts one node of the cluster, with the redis.conf in this folder and what $SECRETS_CONF adds, if it names a file: passwords,
# certificates.
#
#   entrypoint.sh redis-1.vm1     the hostname to announce: the part after the first dot is the VM
#   entrypoint.sh --ping          no node is started; the one in this container is asked whether it serves
#
# A master that returns before the others have voted it out stays master, with the content of its log. After a power cut
# that log may lack the last second (appendfsync everysec). Its replica has that second, and would have to discard it:
# writes that were acknowledged. So a master that did not end cleanly is held back here until its failover has happened,
# or until there can be none.
set -eu

here=$(dirname "$0")
conf=$here/redis.conf
# setting prints a setting of the configuration: of several the last, as in Redis, without its quotes.
setting() { sed -n "s/^$1  *//p" "$conf" ${SECRETS_CONF:+"$SECRETS_CONF"} | sed -n '$s/^"\(.*\)"$/\1/;$p'; }
dir=$(setting dir)
nodes=$dir/$(setting cluster-config-file)
clean=$dir/clean-exit # exists if the last exit was clean: the log is complete, and the replica has everything
timeout=$(($(setting cluster-node-timeout) / 1000))
[ "$timeout" -gt 0 ] || timeout=1

# Without a majority of masters no replica is promoted. Two node timeouts are long enough for other live nodes to answer,
# even if it was this node's own network that was not up yet.
lonely_limit=$((2 * timeout))
# A failover takes two node timeouts. After an election without a winner, the next one comes four node timeouts later
# (auth_retry_time in Redis). This leaves time for that, and for the second election.
hold_limit=$((8 * timeout))

say() { echo "entrypoint: $*" >&2; }
# Seconds since boot: the clock of a VM that has just started may jump.
now() { read -r up rest </proc/uptime; echo "${up%%.*}"; }

# As process 1 the shell would ignore SIGTERM, and Redis would be killed before it has flushed its log.
child='' signalled=''
trap 'signalled=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true' TERM INT

# was_master tells whether this node owned slots when it ended. Slot ranges begin at the ninth field; one in brackets is a
# slot being moved.
was_master() {
	[ -f "$nodes" ] && awk '$3 ~ /myself/ && $3 ~ /master/ { for (i = 9; i <= NF; i++) if ($i !~ /^\[/) owner = 1 }
		END { exit !owner }' "$nodes"
}

# verdict reads one node's CLUSTER NODES and prints what it says about this node: "gone" if it no longer owns slots, "alone"
# if it does and has no replica that could be promoted, "wait" if it has one, and nothing if it is not known there. A
# second word, "votes", follows if the node that answered is a master with slots. A replica counts until it is marked
# fail, which takes a majority of masters; a suspicion (fail?) is not enough.
verdict() {
	awk -v me="$1" '
		{
			slots = 0
			for (i = 9; i <= NF; i++) if ($i !~ /^\[/) slots++
			flags = "," $3 ","
			if (flags ~ /,myself,/ && flags ~ /,master,/ && slots) votes = " votes"
			if ($1 == me) known = 1
			if ($1 == me && flags ~ /,master,/ && slots) owner = 1
			if ($4 == me && flags !~ /,(fail|noaddr|handshake),/) replica = 1
		}
		END { if (known) print (!owner ? "gone" : replica ? "wait" : "alone") votes }'
}

# The other nodes are asked as this one asks them for replication: with the same password, and over TLS if they speak that.
user=$(setting masteruser)
password=$(setting masterauth)
: "${REDISCLI_AUTH=${password:-$(setting requirepass)}}"
export REDISCLI_AUTH
[ -n "$REDISCLI_AUTH" ] || unset REDISCLI_AUTH # an empty one would be sent
# ask HOST:PORT COMMAND...
ask() {
	addr=$1
	shift
	set -- -h "${addr%:*}" -p "${addr##*:}" "$@"
	if [ -n "$user" ]; then set -- --user "$user" "$@"; fi
	if [ "$(setting tls-cluster)" = yes ]; then
		set -- --tls --cacert "$(setting tls-ca-cert-file)" --cert "$(setting tls-cert-file)" --key "$(setting tls-key-file)" "$@"
	fi
	timeout 1 redis-cli "$@" 2>&1 || true
}

if [ "$1" = --ping ]; then
	[ "$(ask 127.0.0.1:6379 ping)" = PONG ]
	exit
fi

# unreadable tells whether a node is there and does not let this script in, which is not the same as a node that is gone.
unreadable() {
	case $1 in
	*NOAUTH* | *WRONGPASS* | *NOPERM* | *'AUTH failed'* | *SSL* | *'closed the connection'* | *'reset by peer'* | *'I/O error'*) return 0 ;;
	esac
	return 1
}

hold() {
	me=$(awk '$3 ~ /myself/ { print $1 }' "$nodes")
	others=$(awk '$2 ~ /:/ && $3 !~ /myself|noaddr/ { sub(/@.*/, "", $2); print $2 }' "$nodes")
	# The majority of masters, including this one: this many must be up for an election.
	majority=$(awk '$2 ~ /:/ && $3 ~ /master/ { for (i = 9; i <= NF; i++) if ($i !~ /^\[/) { n++; break } } END { print int(n / 2) + 1 }' "$nodes")
	began=$(now) quorum_seen=$began
	say "this node was a master and did not end cleanly: it is held back until its replica has taken over, for up to ${hold_limit} s"
	while [ -z "$signalled" ]; do
		voters=0 answers=0 alone=0 closed=''
		for other in $others; do
			said=$(ask "$other" cluster nodes)
			if unreadable "$said"; then closed=$other refusal=$said; fi
			answer=$(echo "$said" | verdict "$me")
			case $answer in
			gone*) say "$other says that another node has its slots: starting as a replica"; return ;;
			alone*) alone=$((alone + 1)) answers=$((answers + 1)) ;;
			wait*) answers=$((answers + 1)) ;;
			esac
			case $answer in *votes) voters=$((voters + 1)) ;; esac
		done
		if [ "$voters" -gt 0 ] && [ "$alone" -eq "$answers" ]; then
			say "no replica can take over: this node has the only copy, starting it"
			return
		fi
		t=$(now)
		if [ "$voters" -ge "$majority" ]; then quorum_seen=$t; fi
		if [ $((t - quorum_seen)) -ge "$lonely_limit" ] && [ -n "$closed" ]; then
			say "$closed is there, but does not tell this node about the cluster: starting could lose acknowledged writes, so it does not. Mend masterauth, masteruser, requirepass or the tls- settings in $conf. It said: $refusal"
			exit 1
		fi
		if [ $((t - quorum_seen)) -ge "$lonely_limit" ]; then
			say "$voters other masters answered for ${lonely_limit} s, of $majority that a failover needs: starting it"
			return
		fi
		if [ $((t - began)) -ge "$hold_limit" ]; then
			say "no failover within ${hold_limit} s: starting it"
			return
		fi
		sleep 0.2
	done
}

if [ -f "$clean" ]; then
	rm "$clean"
	sync "$dir" 2>/dev/null || sync # otherwise a power cut within seconds would bring the mark back
elif was_master; then
	hold
fi
if [ -n "$signalled" ]; then exit 143; fi

redis-server "$conf" ${SECRETS_CONF:+--include "$SECRETS_CONF"} --cluster-announce-hostname "$1" &
child=$!
if [ -n "$signalled" ]; then kill -TERM "$child"; fi
# A signal ends wait early, with its own status. The second wait has the status of Redis, or 127 if that is known already.
rc=127
while
	signalled=''
	status=0
	wait "$child" || status=$?
	[ "$status" -eq 127 ] || rc=$status
	[ -n "$signalled" ]
do :; done
# Redis exits with 0 after it has waited for its replicas and flushed its log.
if [ "$rc" -eq 0 ]; then : >"$clean"; fi
exit "$rc"
