package watch

import (
	"context"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Snapshot is the cluster as this instance currently sees it. It comes from the watcher's memory and costs no command.
type Snapshot struct {
	Known        bool // false until a node has answered
	Epoch        int64
	SlotsCovered int
	UncoveredFor time.Duration // how long some slots have been uncovered; decades if all slots never were covered
	Unowned      int           // slots that no node owns
	Missed       int           // slots whose master is down for this instance, but not for the masters that it reaches
	Majority     bool          // this instance reaches a majority of the masters
	Unaccounted  bool          // there was an election whose outcome this instance does not know for sure
	Formers      bool          // masters that were replaced lately must grant leases and marks too
	MastersPerVM map[string]int
	Nodes        []NodeSnapshot // in the order of [view.View]
	Shards       []ShardSnapshot

	Examined time.Time        // when the nodes were last examined; zero if they were not
	Findings []doctor.Finding // of that examination, and of former ones on nodes that did not answer
}

// A NodeSnapshot is a node as the cluster sees it, and as this instance does.
type NodeSnapshot struct {
	view.Node
	Seen     string           // well, suspect or down
	Silence  time.Duration    // how long it has owed an answer
	Failure  string           // why the last probe failed; empty if it succeeded
	Answered time.Time        // when it last answered the watcher; zero if never
	Shard    string           // the name of its shard; empty for a master without slots
	LinkUp   bool             // of a replica: it has a link to its master
	InStep   bool             // of a replica: it keeps up with its master, and has for long enough to be leased
	Leased   bool             // of a replica: this instance may take its word now
	Refused  string           // of a replica: why the last lease was refused; empty if it was granted or not asked for
	Marked   string           // of a replica: the outcome of the last mark that this instance asked for; empty if there was none
	Lacks    []doctor.Ability // what the Redis user may not do on it, so that it is not tried; nil if it may do all, or if that is not known
	Lag      int64            // of a replica: bytes of the replication stream that it has yet to apply; -1 if unknown
}

// A ShardSnapshot is a shard as this instance sees it.
type ShardSnapshot struct {
	Name   string // the lowest slot that it had when it was first seen
	Master string // address
	Slots  int
	Writes int64 // in flight, including those that wait for a promotion
	Waits  bool  // writes cannot be served at the moment

	Stalled time.Duration // how long writes could not be served; zero if they can
	Moved   time.Time     // when its master last changed; zero if no change was seen
}

// Snapshot returns what the watcher knows.
func (w *Watcher) Snapshot() Snapshot {
	t := w.Topology()
	if t == nil {
		return Snapshot{}
	}
	s := Snapshot{Known: true, Epoch: t.View.Epoch(), SlotsCovered: t.covered(), MastersPerVM: t.View.MastersByVM()}
	r := w.reach(t)
	s.Unowned, s.Missed, s.Majority = view.Slots-t.owned(), r.missed, r.majority
	w.mu.Lock()
	s.Unaccounted = w.epoch > w.council.Accounted()
	s.Examined, s.Findings = w.examined.at, w.examined.report.Findings
	w.mu.Unlock()
	s.Formers = w.council.AskFormers()
	if s.SlotsCovered < view.Slots {
		s.UncoveredFor = time.Since(w.lastCovered())
	}
	for _, n := range t.View.Nodes {
		s.Nodes = append(s.Nodes, w.snapshotOf(t, n))
	}
	for _, shard := range t.Shards {
		s.Shards = append(s.Shards, shard.snapshot())
	}
	return s
}

// Ready waits until a node answers and returns a snapshot. It fails when the context ends, or at once if no node accepts
// our credentials.
func (w *Watcher) Ready(ctx context.Context) (Snapshot, error) {
	for {
		changed := w.Changed()
		if w.Topology() != nil && w.anyAnswering() {
			return w.Snapshot(), nil
		}
		if refused := w.Refusal(); refused != nil {
			return Snapshot{}, refused
		}
		select {
		case <-changed:
		case <-time.After(hastened): // a node that answers again, as it did before, changes nothing
		case <-ctx.Done():
			return Snapshot{}, peer.Unavailable(ErrNoMaster)
		}
	}
}

// lastCovered is when all slots were last covered; the Unix epoch if they never were.
func (w *Watcher) lastCovered() time.Time { return time.Unix(0, w.coveredAt.Load()) }

func (s *Shard) snapshot() ShardSnapshot {
	shot := ShardSnapshot{Name: s.name, Master: s.Info.Addr, Slots: s.Info.Slots, Writes: s.writes.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	shot.Waits, shot.Moved = !s.troubled.IsZero(), s.moved
	if shot.Waits {
		shot.Stalled = time.Since(s.troubled)
	}
	return shot
}

// snapshotOf returns the snapshot of one node.
func (w *Watcher) snapshotOf(t *Topology, n view.Node) NodeSnapshot {
	shot := NodeSnapshot{Node: n, Seen: peer.Down.String(), Lag: -1}
	if !n.Reachable() {
		return shot
	}
	p := w.peers.At(n.Addr)
	shot.Seen, shot.Silence = p.State().String(), p.Silence()
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.checkupOf(p)
	shot.Answered, shot.LinkUp, shot.Failure = u.last.at, u.last.Replication.LinkUp, u.failure
	shot.Lacks = w.examined.lacks[n.ID]
	shot.InStep = u.inStep && u.shows.lasting()
	_, shot.Leased = w.council.Holds(n.ID)
	shot.Refused = string(w.council.Refused(n.ID))
	shot.Marked = string(w.told[toldRight{rights.Mark, n.ID}].reason)
	if s := t.MasteredBy(p); s != nil {
		shot.Shard = s.name
	}
	if s := t.replicatedBy(p); s != nil {
		shot.Shard = s.name
		if m := w.checkupOf(s.Master); !m.last.at.IsZero() && !u.last.at.IsZero() {
			shot.Lag = max(0, m.last.Replication.Offset-u.last.Replication.Offset)
		}
	}
	return shot
}
