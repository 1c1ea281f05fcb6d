package watch

import (
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What the nodes' answers prove: that a replica holds every acknowledged write, and that a master without its replica is
// still the master (it "rules").

// evidenceLasts is the greatest age of an answer that counts as evidence that a master rules. A replica must have been
// silent for longer, so that no answer from before a cut counts.
const evidenceLasts = 250 * time.Millisecond

// acklessLasts is how long a replica that answers us may lack its link, or acknowledge nothing, before it counts as out of
// touch. It is longer than the limit for silence because such a replica can be promoted: another instance that cannot reach
// the master may be asking it to take over, and assisted failover is done within this time. Seen after a fast restart: a
// replica stood still for 5 s because of a request to hand over that was meant for the master that it had been.
const acklessLasts = 1200 * time.Millisecond

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
	return u.last.Replication.Offset >= produced.Replication.Offset
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

// StandIn returns the replica that may answer for the master; nil if there is none.
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

// Needed returns how many replicas must have a write before it counts as replicated: every one that could take over, or
// answer for the master. WAIT does not tell which replicas it counts, so one that has the write says nothing of the others.
// Zero means that no replica could take over.
func (s *Shard) Needed() int64 {
	if now := s.now(); now != nil {
		s = now
	}
	needed := int64(0)
	for _, r := range s.Replicas {
		if r.mayTakeOver() {
			needed++
		}
	}
	return needed
}

// Suffices reports whether a write may be acknowledged that so many replicas have. They must be as many as Needed says, or
// lack no more than those that are out of touch, while a majority of masters confirms that the master rules. What a former
// master has acknowledged all of its replicas had, also the one that has replaced it.
func (s *Shard) Suffices(copies int64) bool {
	now, needed := s.now(), s.Needed()
	if now == nil {
		return copies > 0 && copies >= needed
	}
	if copies >= needed {
		return true
	}
	w, at := s.watch, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	ackless := s.acklessFor(at) > acklessLasts
	inTouch := int64(0)
	for _, r := range now.Replicas {
		if r.mayTakeOver() && !ackless && !w.outOfTouch(r.Peer, at) {
			inTouch++
		}
	}
	return copies >= inTouch && w.rules(now, at)
}

// LeaveBehind takes the shard's replicas out of step, because a write that some of them do not have is about to be
// acknowledged. It reports whether that may happen: not if the master has been replaced.
func (s *Shard) LeaveBehind() bool {
	now := s.now()
	if now == nil {
		return false
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for _, r := range now.Replicas {
		s.watch.checkupOf(r.Peer).inStep = false
	}
	return true
}

// mayTakeOver reports whether the replica could be promoted: not if the cluster has marked it as failed and it is not well
// for us either.
func (r Replica) mayTakeOver() bool { return r.Info.Health != view.Failed || r.State() == peer.Well }

// outOfTouch reports whether a replica has been silent, or without a link to its master, for so long that no evidence from
// before counts any more. It is called with mu held.
func (w *Watcher) outOfTouch(p *peer.Peer, now time.Time) bool {
	u := w.checkupOf(p)
	limit := acklessLasts
	if p.Loading() { // it cannot stand for election
		limit = evidenceLasts
	}
	return p.Silence() > evidenceLasts || !u.outFrom.IsZero() && now.Sub(u.outFrom) > limit
}

// rules reports whether a majority of masters, asked within evidenceLasts, have received a pong from this master so
// recently that it cannot be voted out yet: at least a quarter of the node timeout remains. The master counts as one of
// them by its own answer. It is called with mu held.
func (w *Watcher) rules(s *Shard, now time.Time) bool {
	votes, shards := 0, w.Topology().Shards
	for _, m := range shards {
		a := w.checkupOf(m.Master).last
		if a.at.IsZero() || now.Sub(a.Asked) > evidenceLasts || a.NodeTimeout == 0 || a.Now.IsZero() {
			continue
		}
		line, ok := a.View.Node(s.Info.ID)
		if ok && line.Master && line.Slots > 0 && (line.Self || a.Now.Sub(line.Pong) < a.NodeTimeout-max(a.NodeTimeout/4, evidenceLasts)) {
			votes++
		}
	}
	return votes > len(shards)/2
}
