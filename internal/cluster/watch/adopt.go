package watch

import (
	"cmp"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// adopt adopts the best view if it differs from the current one. All consequences of the change are set here, before
// anybody is told. No state depends on an event.
func (w *Watcher) adopt() {
	w.adopting.Lock()
	defer w.adopting.Unlock()
	before := w.Topology()
	v, ok := w.best(before)
	v = before.recall(v)
	if !ok || before != nil && before.View.Equal(v) {
		return
	}
	w.peers.Keep(v.Reachable())
	after := w.place(v, before)
	ch := changeBetween(before, after)
	w.apply(after, ch)
	if ch.rerouted && w.cfg.Routed != nil {
		w.cfg.Routed(after)
	}
	w.forget()
	w.examineSoon()
	w.tellChange(after, ch)
	w.broadcast()
}

// apply makes t the current topology.
func (w *Watcher) apply(t *Topology, ch change) {
	now := time.Now()
	for _, m := range ch.promoted {
		m.shard.move(now, m.from.ID)
	}
	for _, s := range ch.gone {
		s.placed.Store(nil)
	}
	for _, s := range t.Shards {
		s.placed.Store(s)
	}
	w.topology.Store(t)
	w.council.Follow(t.View, w.peers.At)
}

// best returns the newest view of the nodes that are well and have answered recently. It skips views from before a
// failover, which give slots back to their former master, and views of other clusters.
func (w *Watcher) best(before *Topology) (view.View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var best received
	var witness *peer.Peer
	now := time.Now()
	for p, u := range w.checkups {
		if u.last.at.IsZero() || now.Sub(u.last.at) > recent || p.State() != peer.Well || u.strange || before.regresses(u.last.View) {
			continue
		}
		if witness == nil || w.compare(p, u.last, witness, best) > 0 {
			witness, best = p, u.last
		}
	}
	if witness == nil {
		return view.View{}, false
	}
	w.witness = witness
	return best.View, true
}

// compare orders the answers of two nodes by their views. Of equal views, that of the witness wins: otherwise the topology
// would flap while gossip settles.
func (w *Watcher) compare(p *peer.Peer, a received, q *peer.Peer, b received) int {
	believed := 0
	switch w.witness {
	case p:
		believed = 1
	case q:
		believed = -1
	}
	return cmp.Or(view.Compare(a.View, b.View), believed, a.Asked.Compare(b.Asked))
}
