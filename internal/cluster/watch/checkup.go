package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A checkup is what the watcher remembers of one node.
type checkup struct {
	probing bool      // a probe is in flight
	asked   time.Time // when the last probe was sent
	last    received  // the newest answer
	earlier received  // the answer before that
	inStep  bool      // of a replica: it held every acknowledged write when its master was last well
	outFrom time.Time // of a replica: since when it reports no link to its master; zero if it has one
}

// A received is an answer with its time of arrival.
type received struct {
	peer.Answer
	at time.Time // zero if there is no answer
}

// record records the outcome of a probe. It is called with mu held.
func (w *Watcher) record(p *peer.Peer, a peer.Answer, err error) {
	u := w.checkupOf(p)
	u.probing = false
	if p.Loading() && u.outFrom.IsZero() {
		u.outFrom = time.Now() // master or replica before, it has no link now
	}
	if err != nil || !a.Asked.After(u.last.Asked) { // the assistant probes too, so answers may overtake each other
		return
	}
	if a.RunID != u.last.RunID {
		u.inStep, u.last = false, received{} // another process: its past does not count
	}
	u.earlier, u.last = u.last, received{a, time.Now()}
	w.judge(p, u)
}

// checkupOf returns the checkup of a node, and makes it if there is none. It is called with mu held.
func (w *Watcher) checkupOf(p *peer.Peer) *checkup {
	u, ok := w.checkups[p]
	if !ok {
		u = new(checkup)
		w.checkups[p] = u
	}
	return u
}

// lastOf returns a node's newest answer.
func (w *Watcher) lastOf(p *peer.Peer) received {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.checkupOf(p).last
}

func (w *Watcher) answeredWithin(p *peer.Peer, now time.Time, limit time.Duration) bool {
	return now.Sub(w.lastOf(p).at) < limit
}

// forget drops the checkups of nodes that have left.
func (w *Watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.checkups {
		if !w.peers.Has(p) {
			delete(w.checkups, p)
		}
	}
}
