package watch

import (
	"fmt"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
)

// What package rights must know of the masters: which process each is, whether its clock runs evenly, and which elections
// are over.

// meet tells the council the epoch of a node, and which process a master is.
func (w *Watcher) meet(p *peer.Peer, a peer.Answer) {
	w.noticeEpoch(a.Epoch)
	self, ok := a.View.Self()
	if ok {
		w.council.Hear(self.ID, a.Epoch, a.Asked)
	}
	if ok && self.Master && self.Slots > 0 {
		w.council.Meet(self.ID, fmt.Sprintf("%s %d", a.RunID, self.Epoch), a.NodeTimeout)
	}
}

// clockStep is the error of a node's clock between two answers above which it was set. It is longer than a question takes.
const clockStep = 50 * time.Millisecond

// clockSteppedUntil reports whether a node's clock was set between two answers of one process: it has not advanced as ours
// has. Both may be late by the time that their question took.
func (r received) clockSteppedUntil(a peer.Answer) bool {
	if r.Now.IsZero() || a.Now.IsZero() || r.at.IsZero() {
		return false
	}
	ours, theirs := a.Asked.Sub(r.Asked), a.Now.Sub(r.Now)
	slack := clockStep + r.at.Sub(r.Asked) + time.Since(a.Asked) + ours/10
	return (theirs - ours).Abs() > slack
}

// distrust makes the council do without a register whose clock was set, for as long as that can matter.
func (w *Watcher) distrust(p *peer.Peer) {
	n := w.Topology().Line(p.Addr)
	w.council.Stepped(n.ID)
	w.tell(about(ClockStepped, n, n.Name()+"'s clock was set: it grants nothing for some seconds"))
}

// noticeEpoch records the highest epoch that has come up. It is called with mu held.
func (w *Watcher) noticeEpoch(epoch int64) {
	if epoch > w.epoch {
		w.epoch, w.levelSince = epoch, time.Time{}
	}
}

// accountForEpochs accounts for every epoch that has come up, if all nodes of the view know the last one and agree on the
// owners, and still do so when no vote counts any more. Whoever had won an election would say so then, and whoever stands
// for another does it in a later epoch.
func (w *Watcher) accountForEpochs(now time.Time) {
	t := w.Topology()
	if t == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch <= w.council.Accounted() {
		return
	}
	switch {
	case !w.agree(t, time.Time{}):
		w.levelSince = time.Time{}
	case w.levelSince.IsZero():
		w.levelSince = now
	case w.agree(t, w.levelSince):
		w.council.Account(w.epoch)
	}
}

// agree reports whether all nodes of a topology know the last epoch and have the same owners as it. If a time is given, each
// must have been asked when no vote from before that time counts any more. It is called with mu held.
func (w *Watcher) agree(t *Topology, since time.Time) bool {
	for _, n := range t.View.Nodes {
		if !n.Reachable() {
			return false
		}
		said := w.checkupOf(w.peers.At(n.Addr)).last
		late := !since.IsZero() && said.Asked.Before(since.Add(max(votesLast(said.NodeTimeout), rights.ElectionLasts(said.NodeTimeout))))
		if said.at.IsZero() || late || said.Epoch != w.epoch || !said.View.SameOwners(t.View) {
			return false
		}
	}
	return len(t.Shards) > 0
}
