package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// votesLast is how long Redis counts the votes of an election (its auth_retry_time). Suppose that a node has won an
// election, was made a replica again, and is asked to take over within that time. It believes that it has the votes
// already and calls itself master in an old epoch. The writes that it acknowledges before the others object are lost.
// (Seen with Redis 8.0.2; fixed in Valkey by pull request 1711.) So an instance asks no replica before it has watched for
// that long.
func votesLast(nodeTimeout time.Duration) time.Duration {
	if nodeTimeout == 0 {
		nodeTimeout = 15 * time.Second // Redis' default
	}
	return 2 * max(2*nodeTimeout, 2*time.Second)
}

// VotesCount returns how long the votes for a replica may still count. They may be as recent as the last move of its shard
// or, if this instance has seen none, the moment when it began to watch. If wait is zero or less, no votes count. known is
// false until the replica has answered.
func (w *Watcher) VotesCount(replica *peer.Peer) (wait time.Duration, known bool) {
	last := w.lastOf(replica)
	since := w.since
	if s := w.Topology().replicatedBy(replica); s != nil && s.lastMoved().After(since) {
		since = s.lastMoved()
	}
	return votesLast(last.NodeTimeout) - time.Since(since), !last.at.IsZero()
}
