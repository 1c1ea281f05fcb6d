package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// votesLast is for how long Redis counts the votes of an election (its auth_retry_time). A node that won one, was made a
// replica again and is asked to take over within that time believes that it has the votes already: it calls itself master
// in an epoch that is over, and what it acknowledges until the others contradict is lost. (Seen with Redis 8.0.2; Valkey
// mended it in pull request 1711.) So nobody is asked by an instance that has not watched for as long.
func votesLast(nodeTimeout time.Duration) time.Duration {
	if nodeTimeout == 0 {
		nodeTimeout = 15 * time.Second // Redis' default
	}
	return 2 * max(2*nodeTimeout, 2*time.Second)
}

// VotesCount is for how long votes may still count that a replica was given: as far as this instance knows, since its
// shard last moved, or since before it began to watch. Zero or less is never. It is not known while the replica has not
// answered.
func (w *Watcher) VotesCount(replica *peer.Peer) (wait time.Duration, known bool) {
	last := w.lastOf(replica)
	since := w.since
	if s := w.Topology().replicatedBy(replica); s != nil && s.lastMoved().After(since) {
		since = s.lastMoved()
	}
	return votesLast(last.NodeTimeout) - time.Since(since), !last.at.IsZero()
}
