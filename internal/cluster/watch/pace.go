package watch

import (
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// How often a node is probed.
const (
	heartbeat = 20 * time.Millisecond // between two beats, and between two probes of a replica that may be promoted soon
	peaceful  = time.Second           // between two probes of a node while all is well
	hastened  = 50 * time.Millisecond // between two probes of a node while something is wrong
	awaited   = 10 * time.Millisecond // between two probes of a master while a read waits for its answer

	troubleLasts  = time.Second      // after a failure that may precede a change
	settlingLasts = 15 * time.Second // at most, after a change; then the new state counts as normal
)

// A pace decides how often nodes are probed. Three things hasten it: a failure that may precede a change, a change that has
// not settled yet, and a read that waits for answers from masters.
type pace struct {
	wake chan struct{} // asks for a beat before the next heartbeat

	mu            sync.Mutex
	troubleUntil  time.Time // guarded by mu
	settlingUntil time.Time // guarded by mu
	mastersSince  time.Time // a read needs an answer from each master to a probe sent after this; guarded by mu
}

func newPace() pace { return pace{wake: make(chan struct{}, 1)} }

// Hasten makes the watcher probe all nodes soon, and often for troubleLasts. Call it after a failure that may precede a
// change of the cluster.
func (w *Watcher) Hasten() {
	w.pace.mu.Lock()
	w.pace.troubleUntil = time.Now().Add(troubleLasts)
	w.pace.mu.Unlock()
	w.pace.beatNow()
}

// HastenMasters makes the watcher probe soon every master that it has not probed since the given time.
func (w *Watcher) HastenMasters(since time.Time) {
	w.pace.mu.Lock()
	if since.After(w.pace.mastersSince) {
		w.pace.mastersSince = since
	}
	w.pace.mu.Unlock()
	w.pace.beatNow()
}

// hastenUntilSettled makes the watcher probe often until the cluster has decided about every node that is not well.
func (p *pace) hastenUntilSettled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settlingUntil = time.Now().Add(settlingLasts)
}

func (p *pace) beatNow() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// every is the time between two probes of a node.
func (w *Watcher) every(t *Topology, p *peer.Peer, asked, now time.Time) time.Duration {
	w.pace.mu.Lock()
	trouble, settling, since := now.Before(w.pace.troubleUntil), now.Before(w.pace.settlingUntil), w.pace.mastersSince
	w.pace.mu.Unlock()
	every := peaceful
	if t == nil || trouble || settling && !w.settled(t) {
		every = hastened
		if t != nil && t.mayBePromoted(p) {
			every = heartbeat
		}
	}
	if asked.Before(since) && t != nil && t.listsAsMaster(p) {
		every = min(every, awaited)
	}
	return every
}

// settled reports whether the cluster has decided about every node that is not well: it is marked as failed, and owns no
// slots.
func (w *Watcher) settled(t *Topology) bool {
	return !slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool {
		return n.Reachable() && w.peers.At(n.Addr).State() != peer.Well && (n.Health != view.Failed || n.Master && n.Slots > 0)
	})
}

// take reports whether it is time to probe the node. If so, it records the probe as in flight.
func (w *Watcher) take(p *peer.Peer, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.checkupOf(p)
	if u.probing || now.Sub(u.asked) < w.every(w.Topology(), p, u.asked, now) {
		return false
	}
	u.probing, u.asked = true, now
	return true
}
