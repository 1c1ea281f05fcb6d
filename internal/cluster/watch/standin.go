package watch

import (
	"context"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
)

// Who answers for a master that does not. A replica in step may, while this instance holds a lease on it.

const (
	// askLease is a master's silence from which on a lease is asked for. It takes a round of a millisecond and is there
	// when the first reads are hedged.
	askLease = 30 * time.Millisecond

	// leaseWanted is how long a lease is renewed after a read has last wanted it.
	leaseWanted = time.Second
)

// A StandIn is a replica that may answer for its master. The answer to a command that is sent to it after [Shard.StandIn] has
// returned it counts, if it is of the process and at the offset of the evidence or beyond.
type StandIn struct {
	*peer.Peer
	Shows rights.Evidence
}

// StandIn returns a replica on which this instance holds a lease. ok is false if there is none; then Want asks for one.
func (s *Shard) StandIn() (r StandIn, ok bool) {
	for _, c := range s.candidates(doctor.ReplicaReads) {
		if shows, held := s.watch.council.Holds(c.id); held {
			return StandIn{c.Peer, shows}, true
		}
	}
	return StandIn{}, false
}

// HasCandidate reports whether a replica is in step, so that a lease on it may be granted.
func (s *Shard) HasCandidate() bool { return len(s.candidates(doctor.ReplicaReads)) > 0 }

// Want makes the watcher ask for a lease on each candidate, and renew it for a while.
func (s *Shard) Want() {
	now := time.Now().UnixNano()
	if before := s.wanted.Swap(now); now-before > int64(heartbeat) {
		s.watch.pace.beatNow()
	}
}

// A candidate is a replica in step that answers.
type candidate struct {
	*peer.Peer
	id    string
	shows rights.Evidence
}

// candidates are the replicas in step for which the user has an ability, with evidence of this master: that of a former one
// says nothing of this one's writes.
func (s *Shard) candidates(to doctor.Ability) []candidate {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	var in []candidate
	for _, r := range s.Replicas {
		if u := w.checkupOf(r.Peer); r.State() == peer.Well && u.inStep && u.shows.lasting() && u.shows.Master == s.Info.ID && !w.lacks(r.Info.ID, to) {
			in = append(in, candidate{r.Peer, r.Info.ID, u.shows.Evidence})
		}
	}
	return in
}

// leaseWhereWanted asks for the leases that are wanted and due.
func (w *Watcher) leaseWhereWanted(ctx context.Context, now time.Time, rounds *sync.WaitGroup) {
	t := w.Topology()
	if t == nil {
		return
	}
	for _, s := range t.Shards {
		if now.UnixNano()-s.wanted.Load() > int64(leaseWanted) {
			continue
		}
		for _, c := range s.candidates(doctor.ReplicaReads) {
			// A lease on a replica that is silent too would be of no use, and would hold up writes.
			if c.Silence() < askLease && w.council.Due(c.id) {
				rounds.Go(func() { w.lease(ctx, c) })
			}
		}
	}
}

// lease asks for one lease, and wakes the reads that wait for it.
func (w *Watcher) lease(ctx context.Context, c candidate) {
	_, held := w.council.Holds(c.id)
	if err := w.council.Lease(ctx, c.id, c.shows); err == nil && !held {
		w.broadcast()
	}
}

// Elsewhere reports whether others are served by the master while this instance cannot reach it: it is down here, and a
// lease was refused because somebody acknowledges writes there. Waiting does not help then; another instance does.
func (s *Shard) Elsewhere() bool {
	if s.Master.State() != peer.Down {
		return false
	}
	for _, c := range s.candidates(doctor.ReplicaReads) {
		if why := s.watch.council.Refused(c.id); why == rights.Marked || why == rights.Wanted {
			return true
		}
	}
	return false
}

// Stale returns a replica whose answers may be old, and how old the evidence is that it had everything. ok is false if
// none answers.
func (s *Shard) Stale() (r *peer.Peer, age time.Duration, ok bool) {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range s.Replicas {
		u := w.checkupOf(c.Peer)
		if since := time.Since(u.shows.Asked); c.State() == peer.Well && !u.shows.Asked.IsZero() && !w.lacks(c.Info.ID, doctor.ReplicaReads) && (!ok || since < age) {
			r, age, ok = c.Peer, since, true
		}
	}
	return r, age, ok
}
