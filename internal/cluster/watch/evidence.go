package watch

import (
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What the nodes' answers show of a replica: whether it keeps up, and up to when it has everything. Neither alone lets
// anybody take its word: that takes a lease (package rights), because a master out of reach may go on without it.

// listedFor is how long a master must have listed a replica as its own before the replica may be leased. By then every
// instance that acknowledges a write there counts that replica: it asks the master at least every ownWordLasts.
const listedFor = 2 * time.Second

// A showing is the newest evidence of a replica: it has reached the offset of its master.
type showing struct {
	rights.Evidence
	since time.Time // when this process of the replica first showed that it had everything, in an unbroken chain
}

// lasting reports whether the evidence is so much newer than the first that everybody counts the replica. This also means
// that the master was asked while the same process of the replica lived: one that has restarted may be at the offset of
// an older answer, and lack what was acknowledged since.
func (e showing) lasting() bool { return !e.Asked.IsZero() && e.Asked.Sub(e.since) >= listedFor }

// judge decides, by a node's new answer, whether a replica is in step: its link is up, and it has applied everything that
// its master had produced before the replica was asked. A broken link counts against a replica only once its master has
// answered after the break: when a master dies, its replicas lose their links first, and still hold everything. It is
// called with mu held.
func (w *Watcher) judge(p *peer.Peer, u *checkup) {
	t := w.Topology()
	if s := t.MasteredBy(p); s != nil {
		w.judgeLinks(s, u.last.Asked)
	}
	s := t.replicatedBy(p)
	switch {
	case t == nil:
	case s == nil:
		u.inStep, u.outFrom, u.shows = false, time.Time{}, showing{}
	case !u.last.Replication.LinkUp:
		if u.outFrom.IsZero() {
			u.outFrom = time.Now()
		}
	default:
		u.outFrom = time.Time{}
		if s.Master.State() == peer.Well {
			u.inStep = w.keepsUp(s, p, u)
		}
	}
}

// keepsUp reports whether a replica's offset has reached the offset that its master had before the replica was asked. If
// the two cannot be compared, the verdict stays as it was, provided that the replica is well. It is called with mu held.
func (w *Watcher) keepsUp(s *Shard, p *peer.Peer, u *checkup) bool {
	m := w.checkupOf(s.Master)
	produced := m.last
	if produced.at.After(u.last.Asked) {
		produced = m.earlier
	}
	if produced.at.IsZero() || produced.at.After(u.last.Asked) {
		return u.inStep && p.State() == peer.Well
	}
	if u.last.Replication.Offset < produced.Replication.Offset {
		return false
	}
	u.shows = u.shows.next(s, p, u.last, produced)
	return true
}

// next returns the evidence of a replica that has reached the offset of an answer of its master. The master must list the
// replica, and both offsets must be of one stream.
func (e showing) next(s *Shard, p *peer.Peer, replica, master received) showing {
	self, _ := master.View.Node(s.Info.ID)
	listed := slices.ContainsFunc(master.View.Nodes, func(n view.Node) bool { return n.Addr == p.Addr && n.MasterID == s.Info.ID })
	if !self.Master || !listed || replica.Replication.Stream != master.Replication.Stream {
		return showing{}
	}
	if e.Master != s.Info.ID {
		e.since = time.Now()
	}
	e.Evidence = rights.Evidence{
		Asked: master.Asked, Offset: master.Replication.Offset, Stream: master.Replication.Stream, Process: replica.RunID, Master: s.Info.ID,
	}
	return e
}

// judgeLinks takes those replicas of a master out of step that are down or have lost their link, now that the master has
// answered a question asked after that. It is called with mu held.
func (w *Watcher) judgeLinks(s *Shard, asked time.Time) {
	for _, r := range s.Replicas {
		if u := w.checkupOf(r.Peer); r.State() == peer.Down || !u.outFrom.IsZero() && u.outFrom.Before(asked) {
			u.inStep = false
		}
	}
}

// judgeSilence takes a replica that is down out of step if its master is well, because the master goes on without it.
func (w *Watcher) judgeSilence(p *peer.Peer) {
	if s := w.Topology().replicatedBy(p); s != nil && s.Master.State() == peer.Well {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.checkupOf(p).inStep = false
	}
}

// Leaving reports whether a slot is being moved away from its master. The replica does not know that, and would take keys
// that have been moved for absent.
func (s *Shard) Leaving(slot int) bool {
	return slices.Contains(s.watch.lastOf(s.Master).View.Leaving, slot)
}

// Absent reports whether it is proven that a key which a replica did not have at a moment was not on another master either:
// every other master, asked since then, neither owns the slot nor imports it. A move begins at the importing node (CLUSTER
// SETSLOT IMPORTING), before the first key moves.
func (s *Shard) Absent(slot int, at time.Time) bool {
	w := s.watch
	for _, other := range w.Topology().View.Nodes {
		// A master without slots may be importing its first, unless it is dead.
		gone := other.Slots == 0 && (other.Health == view.Failed || other.Health == view.NoAddress)
		if !other.Master || other.Addr == s.Master.Addr || gone {
			continue
		}
		said := w.lastOf(w.peers.At(other.Addr))
		line, ok := said.View.Node(other.ID)
		if !ok || said.Asked.Before(at) || line.Owns(slot) || slices.Contains(said.View.Coming, slot) {
			return false
		}
	}
	return true
}
