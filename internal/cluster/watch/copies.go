package watch

import (
	"context"
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// How many nodes must have a write. A write is acknowledged when every replica that anybody could lease has it, or when
// those that lack it are marked (package rights). When to give up waiting for a replica is a matter of patience, not of
// safety.

const (
	goneAfter    = 250 * time.Millisecond  // behind, of a replica that does not answer us either
	ackless      = 1200 * time.Millisecond // the same, of one that does: unasked, it acknowledges once a second
	ownWordLasts = 1500 * time.Millisecond // a master's own list of its replicas; shorter than listedFor, longer than peaceful
)

// Needed returns the IDs of the replicas that must have a write before it counts as replicated: those that the topology
// lists, those that the master itself lists, and those that have not left the shard's former master yet. known is false
// while the master's own list is too old to tell.
func (s *Shard) Needed() (ids []string, known bool) {
	w := s.watch
	said := w.lastOf(s.Master)
	add := func(id string) {
		if id != s.Info.ID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	former := s.formerly()
	for _, n := range w.Topology().View.Nodes {
		if n.MasterID == s.Info.ID || former != "" && n.MasterID == former {
			add(n.ID)
		}
	}
	for _, n := range said.View.Nodes {
		if n.MasterID == s.Info.ID {
			add(n.ID)
		}
	}
	slices.Sort(ids)
	return ids, time.Since(said.Asked) < ownWordLasts
}

// Gone reports whether waiting for each of these replicas has lasted long enough.
func (s *Shard) Gone(ids []string) bool {
	now := time.Now()
	return !slices.ContainsFunc(ids, func(id string) bool { return !s.gone(id, now) })
}

// gone is Gone for one replica. If it has not answered us for long enough, and its master says that it has no connection to
// it, then there is nothing to wait for: a master that has just taken over cannot know any longer lag.
func (s *Shard) gone(id string, now time.Time) bool {
	behind := s.lagOf(id, now)
	if s.watch.inTouch(id) {
		return behind >= ackless
	}
	return behind >= goneAfter || s.watch.silent(id) && s.missing(id, now)
}

// silent reports whether a replica has not answered us for long enough. One that answers without a link to its master is on
// its way to it.
func (w *Watcher) silent(id string) bool {
	p := w.reachable(id)
	return p == nil || p.Silence() >= goneAfter || p.State() == peer.Down
}

// inTouch reports whether a replica answers and has a link to its master.
func (w *Watcher) inTouch(id string) bool {
	if w.silent(id) {
		return false
	}
	p := w.reachable(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	return p != nil && w.checkupOf(p).outFrom.IsZero()
}

// reachable returns a node that can be asked; nil if there is none with this ID.
func (w *Watcher) reachable(id string) *peer.Peer {
	n, ok := w.Topology().View.Node(id)
	if !ok || !n.Reachable() {
		return nil
	}
	return w.peers.At(n.Addr)
}

// Awaited returns how many replicas to wait for: those that count and are not gone.
func (s *Shard) Awaited() int64 {
	needed, _ := s.Needed()
	return int64(len(slices.DeleteFunc(needed, func(id string) bool { return s.Gone([]string{id}) })))
}

// Alone reports whether nobody but the master can have a write: the shard has no replica, or has waited for all in vain.
func (s *Shard) Alone() bool {
	needed, known := s.Needed()
	return known && s.Gone(needed)
}

// Mark notes that replicas may lack what was written to the shard up to now, so that nobody takes their word, or asks them
// to take over, until they have caught up. It fails if a majority of masters does not note it.
func (s *Shard) Mark(ctx context.Context, lacking []string) error {
	if s.Replaced() {
		return ErrNoMaster
	}
	return s.watch.council.Mark(ctx, s.Info.ID, lacking)
}

// Acknowledged returns how far each of the needed replicas is. connected are the offsets that the master has reported of
// those that are connected to it, by their addresses. If none of these addresses is known, they are others than those that
// the cluster announces, and the replicas are asked themselves.
func (s *Shard) Acknowledged(ctx context.Context, needed []string, connected map[string]int64) Acks {
	t := s.watch.Topology()
	foreign := len(connected) > 0
	for addr := range connected {
		foreign = foreign && !t.Lists(addr)
	}
	acks := Acks{}
	for _, id := range needed {
		n, ok := t.View.Node(id)
		if !ok {
			continue
		}
		offset, ok := connected[n.Addr]
		if foreign {
			offset, ok = s.reachedBy(ctx, n)
		}
		if ok {
			acks[id] = offset
		}
	}
	return acks
}

// reachedBy asks a replica how far it is in this master's stream.
func (s *Shard) reachedBy(ctx context.Context, n view.Node) (offset int64, ok bool) {
	p := s.watch.peers.At(n.Addr)
	if p.State() != peer.Well {
		return 0, false
	}
	a, err := p.Probe(ctx)
	if err != nil {
		return 0, false
	}
	self, ok := a.View.Self()
	return a.Replication.Offset, ok && self.ID == n.ID && self.MasterID == s.Info.ID && a.Replication.LinkUp
}
