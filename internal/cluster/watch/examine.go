package watch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
)

// What the nodes permit and how they are set (package doctor). It is asked when the watcher begins, after each change of the
// cluster, and now and then, since settings change at run time. What the user may not do is not tried.

const (
	examineLimit = 2 * time.Second  // of one examination
	examineAfter = 10 * time.Second // after a change: first things first
)

// An examined is what the watcher knows from examinations.
type examined struct {
	busy   bool
	due    time.Time // of the next one
	at     time.Time // when the last one ended; zero if there was none
	report doctor.Report
	lacks  map[string][]doctor.Ability // by the ID of the node; without those that lack nothing
}

// examineWhenDue begins an examination if it is time.
func (w *Watcher) examineWhenDue(ctx context.Context, now time.Time, questions *sync.WaitGroup) {
	t := w.Topology()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cfg.Examine == 0 || t == nil || w.examined.busy || now.Before(w.examined.due) {
		return
	}
	w.examined.busy = true
	w.examined.due = now.Add(w.cfg.Examine)
	questions.Go(func() { w.examine(ctx, t) })
}

// examineSoon makes the next examination come soon, because the cluster has changed.
func (w *Watcher) examineSoon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if soon := time.Now().Add(examineAfter); soon.Before(w.examined.due) {
		w.examined.due = soon
	}
}

// examine examines all nodes of a topology, and tells what has changed.
func (w *Watcher) examine(ctx context.Context, t *Topology) {
	limited, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	report := doctor.Examine(limited, t.View, w.peers.At, doctor.Terms{Deadline: w.cfg.Deadline, Assist: w.cfg.Assist})
	before, after := w.diagnose(report)
	if ctx.Err() == nil { // otherwise it was cut short, since the watcher ends
		w.tellFindings(before, after)
	}
}

// diagnose records a report, and returns the one before and this one.
func (w *Watcher) diagnose(report doctor.Report) (before, after doctor.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.examined.report
	after = report.After(before)
	w.examined.busy, w.examined.at, w.examined.report = false, time.Now(), after
	w.examined.lacks = map[string][]doctor.Ability{}
	for _, n := range after.Nodes {
		if len(n.Lacks) > 0 {
			w.examined.lacks[n.ID] = n.Lacks
		}
	}
	return before, after
}

// lacks reports whether the user is known not to have an ability on a node. It is called with mu held.
func (w *Watcher) lacks(id string, a doctor.Ability) bool {
	return slices.Contains(w.examined.lacks[id], a)
}

// tellFindings tells the findings that are new, and those that are gone. That a node does not answer is told by other events.
func (w *Watcher) tellFindings(before, after doctor.Report) {
	for _, f := range after.Findings {
		if f.Check != "answers" && !knows(before, f) {
			what := FindingMade
			if f.Severity == doctor.Breaks {
				what = PromiseBroken
			}
			w.tell(w.aboutFinding(what, f, fmt.Sprintf("%s: %s: %s; to do: %s", f.Node, f.Found, f.Why, f.Do)))
		}
	}
	for _, f := range before.Findings {
		if f.Check != "answers" && !knows(after, f) {
			w.tell(w.aboutFinding(FindingGone, f, fmt.Sprintf("%s: no longer so: %s", f.Node, f.Found)))
		}
	}
}

// knows reports whether a report has the finding, perhaps in other words: what was measured may differ from one time to the next.
func knows(r doctor.Report, f doctor.Finding) bool {
	return slices.ContainsFunc(r.Findings, func(g doctor.Finding) bool {
		return g.Check == f.Check && g.Node == f.Node && g.Severity == f.Severity
	})
}

// aboutFinding makes an event about the node of a finding, or about its name alone if the node has left.
func (w *Watcher) aboutFinding(what EventType, f doctor.Finding, text string) Event {
	ev := Event{Type: what, Node: f.Node, Text: text}
	if t := w.Topology(); t != nil {
		for _, n := range t.View.Nodes {
			if n.Name() == f.Node {
				ev.VM = n.VM()
			}
		}
	}
	return ev
}
