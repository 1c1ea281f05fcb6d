package cluster

import (
	"slices"
	"time"

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
func (w *watcher) judge(n *node, u *checkup) {
	t := w.topology.Load()
	if t == nil {
		return
	}
	if p := t.mastered(n); p != nil {
		w.judgeLinks(p, u.last.asked)
	}
	p := t.replicated(n)
	if p == nil {
		u.inStep, u.outFrom = false, time.Time{}
		return
	}
	if !u.last.replication.LinkUp {
		if u.outFrom.IsZero() {
			u.outFrom = time.Now()
		}
		return
	}
	u.outFrom = time.Time{}
	if p.master.state() != well {
		return
	}
	m := w.checkupOf(p.master)
	produced := m.last
	if produced.at.After(u.last.asked) {
		produced = m.earlier
	}
	if produced.at.IsZero() || produced.at.After(u.last.asked) { // the two cannot be compared
		u.inStep = u.inStep && n.state() == well
		return
	}
	u.inStep = u.last.replication.Offset >= produced.replication.Offset
}

// judgeLinks holds broken links and silence against a master's replicas, now that it has answered.
func (w *watcher) judgeLinks(p *placement, asked time.Time) {
	for _, r := range p.replicas {
		if u := w.checkupOf(r.node); r.state() == down || !u.outFrom.IsZero() && u.outFrom.Before(asked) {
			u.inStep = false
		}
	}
}

// judgeSilence takes a replica that is down out of step, if its master is well: that goes on without it.
func (w *watcher) judgeSilence(n *node) {
	t := w.topology.Load()
	if t == nil {
		return
	}
	if p := t.replicated(n); p != nil && p.master.state() == well {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.checkupOf(n).inStep = false
	}
}

// standIn is the replica that may answer for its master; nil if none may.
func (w *watcher) standIn(p *placement) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range p.replicas {
		if r.state() == well && w.checkupOf(r.node).inStep {
			return r.node
		}
	}
	return nil
}

// leaving reports whether a slot is being moved away from its master. Its replica does not know that: it would take what
// has been moved for absent.
func (w *watcher) leaving(p *placement, slot int) bool {
	return slices.Contains(w.lastOf(p.master).view.Leaving, slot)
}

// absent reports whether a key that a replica lacked at a moment was nowhere else: no other master had got the slot, or had
// begun to get it. Each has been asked since. To move a slot begins at the one that gets it (CLUSTER SETSLOT IMPORTING),
// before the first key goes.
func (w *watcher) absent(p *placement, slot int, at time.Time) bool {
	for _, other := range w.topology.Load().view.Nodes {
		// One that has no slots yet may be getting its first, unless it is dead.
		gone := other.Slots == 0 && (other.Health == view.Failed || other.Health == view.NoAddress)
		if !other.Master || other.Addr == p.master.addr || gone {
			continue
		}
		said := w.lastOf(w.client.node(other.Addr))
		line, ok := said.view.Node(other.ID)
		if !ok || said.asked.Before(at) || line.Owns(slot) || slices.Contains(said.view.Coming, slot) {
			return false
		}
	}
	return true
}

// lastOf is a node's newest answer.
func (w *watcher) lastOf(n *node) received {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.checkupOf(n).last
}

// waited notes what a WAIT at a master found.
func (w *watcher) waited(n *node, replicas int64, err error) {
	if p := w.topology.Load().mastered(n); p != nil && err == nil {
		p.waited(replicas > 0)
	}
}

// oneCopy notes that a write is about to be acknowledged which the master's replicas do not have.
func (w *watcher) oneCopy(n *node) {
	p := w.topology.Load().mastered(n)
	if p == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range p.replicas {
		w.checkupOf(r.node).inStep = false
	}
}

// proven reports whether a write that only this master has may be acknowledged: it has no replica that could take over,
// or its replicas are out of touch and a majority of masters sees it rule.
func (w *watcher) proven(n *node) bool {
	t := w.topology.Load()
	p := t.mastered(n)
	if p == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	ackless := p.acklessFor(now) > acklessLasts
	alive := p.alive()
	for _, r := range alive {
		if !ackless && !w.outOfTouch(r.node, now) {
			return false
		}
	}
	return len(alive) == 0 || w.rules(t, p, now)
}

// replicaGone reports whether the node is a master without a replica that could take over.
func (w *watcher) replicaGone(n *node) bool {
	p := w.topology.Load().mastered(n)
	return p != nil && len(p.alive()) == 0
}

// alive are the replicas that could take over: not those that a majority of masters says are down, and that are.
func (p *placement) alive() []*replica {
	return slices.DeleteFunc(slices.Clone(p.replicas), func(r *replica) bool { return r.info.Health == view.Failed && r.state() != well })
}

// outOfTouch reports whether a replica has been silent, or without a link to its master, for so long that evidence from
// before is too old. It is called with mu held.
func (w *watcher) outOfTouch(n *node, now time.Time) bool {
	u := w.checkupOf(n)
	limit := acklessLasts
	if u.loading { // it cannot stand for election
		limit = evidenceLasts
	}
	return n.pulse.silence() > evidenceLasts || !u.outFrom.IsZero() && now.Sub(u.outFrom) > limit
}

// rules reports whether a majority of masters, asked a moment ago, have a pong of this master so young that it cannot be
// voted out before that moment is over: a quarter of the node timeout remains. The master speaks for itself. It is
// called with mu held.
func (w *watcher) rules(t *topology, p *placement, now time.Time) bool {
	votes := 0
	for _, m := range t.shards {
		a := w.checkupOf(m.master).last
		if a.at.IsZero() || now.Sub(a.asked) > evidenceLasts || a.nodeTimeout == 0 || a.now.IsZero() {
			continue
		}
		line, ok := a.view.Node(p.info.ID)
		if ok && line.Master && line.Slots > 0 && (line.Self || a.now.Sub(line.Pong) < a.nodeTimeout*3/4) {
			votes++
		}
	}
	return votes > len(t.shards)/2
}
