package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A checkup is what the watcher remembers of one node.
type checkup struct {
	probing bool // a question is under way
	asked   time.Time
	last    received  // the newest answer
	earlier received  // the one before
	inStep  bool      // as a replica: it held all that was acknowledged when its master was last seen well
	outFrom time.Time // as a replica: since when it says that it has no link to its master; zero if it has one
}

// A received answer also knows when it came.
type received struct {
	peer.Answer
	at time.Time // zero if there is none
}

// record notes what came of a question. It is called with mu held.
func (w *Watcher) record(p *peer.Peer, a peer.Answer, err error) {
	u := w.checkupOf(p)
	u.probing = false
	if p.Loading() && u.outFrom.IsZero() {
		u.outFrom = time.Now() // whatever it was, it has no link now
	}
	if err != nil || !a.Asked.After(u.last.Asked) { // the assistant asks beside the heartbeat
		return
	}
	if a.RunID != u.last.RunID {
		u.inStep, u.last = false, received{} // another process: nothing of before holds
	}
	u.earlier, u.last = u.last, received{a, time.Now()}
	w.judge(p, u)
}

// checkupOf is called with mu held.
func (w *Watcher) checkupOf(p *peer.Peer) *checkup {
	u, ok := w.checkups[p]
	if !ok {
		u = new(checkup)
		w.checkups[p] = u
	}
	return u
}

// lastOf is a node's newest answer.
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
