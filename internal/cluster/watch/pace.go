package watch

import (
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// How often a node is asked.
const (
	heartbeat = 20 * time.Millisecond // how often pulses are felt; and between two questions to a replica that may be promoted
	peaceful  = time.Second           // between two questions while all is well
	hastened  = 50 * time.Millisecond // the same while something is wrong
	awaited   = 10 * time.Millisecond // the same while a read waits for what a master says

	troubleLasts  = time.Second      // after something failed that may mean a change
	settlingLasts = 15 * time.Second // at most, after something changed; then it is the new peace
)

// A pace is how soon nodes are asked. Three things hasten it: a failure that may mean a change, a change that has not
// settled yet, and a read that waits for what masters say.
type pace struct {
	wake chan struct{} // asks for a beat before the next heartbeat

	mu            sync.Mutex
	troubleUntil  time.Time // guarded by mu
	settlingUntil time.Time // guarded by mu
	mastersSince  time.Time // some read needs masters' answers to questions from after; guarded by mu
}

func newPace() pace { return pace{wake: make(chan struct{}, 1)} }

// Hasten has the nodes asked often for a moment, and at once: something failed as it does before the cluster changes.
func (w *Watcher) Hasten() {
	w.pace.mu.Lock()
	w.pace.troubleUntil = time.Now().Add(troubleLasts)
	w.pace.mu.Unlock()
	w.pace.beatNow()
}

// HastenMasters has each master asked again that has not been asked since a moment.
func (w *Watcher) HastenMasters(since time.Time) {
	w.pace.mu.Lock()
	if since.After(w.pace.mastersSince) {
		w.pace.mastersSince = since
	}
	w.pace.mu.Unlock()
	w.pace.beatNow()
}

// hastenUntilSettled has the nodes asked often until the cluster has decided about those that are ill.
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

// every is how long to wait between two questions to a node.
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

// settled reports whether no node is ill about which the cluster has yet to decide.
func (w *Watcher) settled(t *Topology) bool {
	return !slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool {
		return n.Health != view.NoAddress && w.peers.At(n.Addr).State() != peer.Well && (n.Health != view.Failed || n.Master && n.Slots > 0)
	})
}

// take reports whether it is time to ask the node, and if so, takes the turn.
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
