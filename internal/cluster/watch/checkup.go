package watch

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A checkup is what the watcher remembers of one node.
type checkup struct {
	probing bool      // a probe is in flight
	asked   time.Time // when the last probe was sent
	last    received  // the newest answer
	earlier received  // the answer before that
	inStep  bool      // of a replica: it kept up when its master was last well
	shows   showing   // of a replica: up to when it has everything
	failure string    // why the last probe failed; empty if it succeeded
	told    []string  // failures told since it last answered
	strange bool      // its view is of another cluster
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
	if err != nil {
		u.failure = reason(err)
		return
	}
	u.failure, u.told = "", nil
	if !a.Asked.After(u.last.Asked) { // the assistant probes too, so answers may overtake each other
		return
	}
	if a.RunID != u.last.RunID {
		u.inStep, u.shows, u.last = false, showing{}, received{} // another process: its past does not count
	}
	if u.last.clockSteppedUntil(a) {
		w.distrust(p)
	}
	u.earlier, u.last = u.last, received{a, time.Now()}
	w.meet(p, a)
	w.judge(p, u)
}

// reason is why a probe failed, in words that stay the same as long as the reason does.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return noAnswer
	}
	return err.Error()
}

// noAnswer is the reason that is not told: the events node-suspect and node-down tell it.
const noAnswer = "no answer in time"

// newFailure returns why the last probe of a node failed, if that has not been told since it last answered.
func (w *Watcher) newFailure(p *peer.Peer) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.checkupOf(p)
	if u.failure == "" || u.failure == noAnswer || slices.Contains(u.told, u.failure) || len(u.told) == failuresTold {
		return ""
	}
	u.told = append(u.told, u.failure)
	return u.failure
}

// failuresTold is the maximum number of reasons told of a node until it answers again.
const failuresTold = 5

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
