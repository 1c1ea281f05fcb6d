package watch

import (
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What may be concluded from the watcher's answers: whether a replica holds all that was acknowledged, and whether a
// master without its replica still rules.

// evidenceLasts is how old an answer may be that shows a master ruling. A replica's silence must have lasted longer, so
// that no answer from before a cut counts.
const evidenceLasts = 250 * time.Millisecond

// acklessLasts is how long a replica that answers us may lack its link, or acknowledge nothing, before it counts as out of
// touch. It is longer than silence need be: such a replica can be promoted, and an instance that cannot reach the master
// may just be asking it to (assisted failover is through by then). Seen after a fast restart: a replica stood still for 5 s
// because of a request to hand over that was meant for the master it had been.
const acklessLasts = 1200 * time.Millisecond

// judge draws from a node's new answer whether a replica is in step: its link is up, and it has applied what its master
// had produced before the replica was asked. A broken link is held against it only once its master has answered after
// that: when the master dies, its replicas lose their links first of all, and hold everything. It is called with mu held.
func (w *Watcher) judge(p *peer.Peer, u *checkup) {
	t := w.Topology()
	if s := t.MasteredBy(p); s != nil {
		w.judgeLinks(s, u.last.Asked)
	}
	s := t.replicatedBy(p)
	switch {
	case t == nil:
	case s == nil:
		u.inStep, u.outFrom = false, time.Time{}
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

// keepsUp compares a replica's offset with its master's, as that was before the replica was asked. Where the two cannot be
// compared the verdict stays, while the replica is well. It is called with mu held.
func (w *Watcher) keepsUp(s *Shard, p *peer.Peer, u *checkup) bool {
	m := w.checkupOf(s.Master)
	produced := m.last
	if produced.at.After(u.last.Asked) {
		produced = m.earlier
	}
	if produced.at.IsZero() || produced.at.After(u.last.Asked) {
		return u.inStep && p.State() == peer.Well
	}
	return u.last.Replication.Offset >= produced.Replication.Offset
}

// judgeLinks holds broken links and silence against a master's replicas, now that it has answered. It is called with mu
// held.
func (w *Watcher) judgeLinks(s *Shard, asked time.Time) {
	for _, r := range s.Replicas {
		if u := w.checkupOf(r.Peer); r.State() == peer.Down || !u.outFrom.IsZero() && u.outFrom.Before(asked) {
			u.inStep = false
		}
	}
}

// judgeSilence takes a replica that is down out of step, if its master is well: that goes on without it.
func (w *Watcher) judgeSilence(p *peer.Peer) {
	if s := w.Topology().replicatedBy(p); s != nil && s.Master.State() == peer.Well {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.checkupOf(p).inStep = false
	}
}

// StandIn is the replica that may answer for the master; nil if none may.
func (s *Shard) StandIn() *peer.Peer {
	w := s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range s.Replicas {
		if r.State() == peer.Well && w.checkupOf(r.Peer).inStep {
			return r.Peer
		}
	}
	return nil
}

// Leaving reports whether a slot is being moved away from its master. Its replica does not know that: it would take what
// has been moved for absent.
func (s *Shard) Leaving(slot int) bool {
	return slices.Contains(s.watch.lastOf(s.Master).View.Leaving, slot)
}

// Absent reports whether a key that a replica lacked at a moment was nowhere else: no other master had got the slot, or had
// begun to get it. Each has been asked since. To move a slot begins at the one that gets it (CLUSTER SETSLOT IMPORTING),
// before the first key goes.
func (s *Shard) Absent(slot int, at time.Time) bool {
	w := s.watch
	for _, other := range w.Topology().View.Nodes {
		// One that has no slots yet may be getting its first, unless it is dead.
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

// OneCopy notes that a write is about to be acknowledged which the replicas do not have.
func (s *Shard) OneCopy() {
	now := s.now()
	if now == nil {
		return
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for _, r := range now.Replicas {
		s.watch.checkupOf(r.Peer).inStep = false
	}
}

// MayBeAlone reports whether a write that only the master has may be acknowledged: it has no replica that could take over,
// or its replicas are out of touch and a majority of masters sees it rule.
func (s *Shard) MayBeAlone() bool {
	now := s.now()
	if now == nil {
		return false
	}
	w, at := s.watch, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	ackless := s.acklessFor(at) > acklessLasts
	candidates := now.candidates()
	for _, r := range candidates {
		if !ackless && !w.outOfTouch(r.Peer, at) {
			return false
		}
	}
	return len(candidates) == 0 || w.rules(now, at)
}

// Bare reports whether the shard has no replica that could take over.
func (s *Shard) Bare() bool {
	now := s.now()
	return now != nil && len(now.candidates()) == 0
}

// candidates are the replicas that could take over: not those that a majority of masters says are down, and that are.
func (s *Shard) candidates() []Replica {
	return slices.DeleteFunc(slices.Clone(s.Replicas), func(r Replica) bool {
		return r.Info.Health == view.Failed && r.State() != peer.Well
	})
}

// outOfTouch reports whether a replica has been silent, or without a link to its master, for so long that evidence from
// before is too old. It is called with mu held.
func (w *Watcher) outOfTouch(p *peer.Peer, now time.Time) bool {
	u := w.checkupOf(p)
	limit := acklessLasts
	if p.Loading() { // it cannot stand for election
		limit = evidenceLasts
	}
	return p.Silence() > evidenceLasts || !u.outFrom.IsZero() && now.Sub(u.outFrom) > limit
}

// rules reports whether a majority of masters, asked a moment ago, have a pong of this master so young that it cannot be
// voted out before that moment is over: a quarter of the node timeout remains. The master speaks for itself. It is
// called with mu held.
func (w *Watcher) rules(s *Shard, now time.Time) bool {
	votes, shards := 0, w.Topology().Shards
	for _, m := range shards {
		a := w.checkupOf(m.Master).last
		if a.at.IsZero() || now.Sub(a.Asked) > evidenceLasts || a.NodeTimeout == 0 || a.Now.IsZero() {
			continue
		}
		line, ok := a.View.Node(s.Info.ID)
		if ok && line.Master && line.Slots > 0 && (line.Self || a.Now.Sub(line.Pong) < a.NodeTimeout*3/4) {
			votes++
		}
	}
	return votes > len(shards)/2
}
