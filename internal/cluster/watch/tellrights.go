package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// tellAgain is how long the same outcome for the same replica is not told again.
const tellAgain = 10 * time.Second

// A toldRight is a right of which outcomes are told, and a toldOutcome the last of them.
type toldRight struct {
	kind    rights.Kind
	replica string // ID
}

type toldOutcome struct {
	reason rights.Verdict
	last   time.Time // when it last came
}

// tellRight counts the outcome of a round for a lease or a mark, and tells it if it is news.
func (w *Watcher) tellRight(o rights.Outcome) {
	w.cfg.Metrics.right(o)
	for _, id := range o.Replicas {
		if w.isNews(o, id) {
			w.tell(w.aboutRight(o, id))
		}
	}
}

// isNews records an outcome, and reports whether it differs from the last one, which must not be long ago.
func (w *Watcher) isNews(o rights.Outcome, replica string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	of, now := toldRight{o.Kind, replica}, time.Now()
	before := w.told[of]
	w.told[of] = toldOutcome{o.Reason, now}
	return before.reason != o.Reason || now.Sub(before.last) >= tellAgain
}

func (w *Watcher) aboutRight(o rights.Outcome, id string) Event {
	n := view.Node{ID: id, Hostname: id}
	t := w.Topology()
	if t != nil {
		if listed, ok := t.View.Node(id); ok {
			n = listed
		}
	}
	what, text := sayRight(o, n.Name())
	ev := about(what, n, text)
	if n.Addr == "" { // the topology does not list it
		return ev
	}
	if s := t.replicatedBy(w.peers.At(n.Addr)); s != nil {
		ev.Shard = s.name
	}
	return ev
}

// sayRight says an outcome for a replica in plain words.
func sayRight(o rights.Outcome, name string) (EventType, string) {
	granted := o.Reason == rights.Granted
	leave := "answer for its master"
	if o.Kind == rights.Forced {
		leave = "be asked to take over"
	}
	switch {
	case o.Kind == rights.Mark && granted:
		return MarkMade, "a majority of masters knows that " + name + " may lack writes"
	case o.Kind == rights.Mark:
		return MarkRefused, "that " + name + " may lack writes could not be noted: " + why[o.Reason]
	case granted:
		return LeaseGranted, name + " may " + leave
	}
	return LeaseRefused, name + " may not " + leave + ": " + why[o.Reason]
}

// why says a reason in plain words.
var why = map[rights.Verdict]string{
	rights.Leased:    "an instance may be taking its word at this moment",
	rights.Marked:    "it may lack a write that was acknowledged",
	rights.Wanted:    "another instance reaches the master",
	rights.Young:     "a master was started or promoted too recently",
	rights.Epoch:     "the outcome of an election is not known here yet",
	rights.Unvouched: "the masters do not hear the shard's master",
	rights.Elsewhere: "the slots of the masters have moved",
	rights.Stepped:   "the clock of a master was set",
	rights.Silent:    "too few masters answer",
}
