package cluster

import (
	"context"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A State is the cluster as this instance sees it at the moment, from the watcher's memory: asking for it costs no
// command.
type State struct {
	Known        bool // false until a node has answered
	Epoch        int64
	SlotsCovered int
	UncoveredFor time.Duration // since when not all are; as long as the process lives, if they never were
	MastersPerVM map[string]int
	Nodes        []NodeState // as in View
	Shards       []ShardState
}

// A NodeState is a node as the cluster sees it, and as this instance does.
type NodeState struct {
	view.Node
	Seen     string        // well, suspect or down
	Silence  time.Duration // for how long it has owed an answer
	Answered time.Time     // when it last answered the watcher; zero for never
	Shard    string        // the name of its shard; empty for a master without slots
	LinkUp   bool          // of a replica
	InStep   bool          // of a replica: it may answer for its master
	Lag      int64         // of a replica: bytes of the replication stream it has yet to apply; -1 if unknown
}

// A ShardState is a shard as this instance sees it.
type ShardState struct {
	Name   string // the lowest slot that it had when it was first seen
	Master string // address
	Slots  int
	Writes int64 // under way, those that wait for a promotion included
	Waits  bool  // writes cannot be served at the moment

	Stalled time.Duration // for how long they cannot have been
	Moved   time.Time
}

// State returns what the watcher knows.
func (c *Client) State() State {
	t := c.watch.topology.Load()
	if t == nil {
		return State{}
	}
	s := State{
		Known: true, Epoch: t.view.Epoch(), SlotsCovered: c.watch.covered(t), MastersPerVM: t.view.MastersByVM(),
	}
	if s.SlotsCovered < view.Slots {
		s.UncoveredFor = time.Since(c.watch.lastCovered())
	}
	for _, line := range t.view.Nodes {
		s.Nodes = append(s.Nodes, c.watch.stateOf(t, line))
	}
	for _, p := range t.shards {
		s.Shards = append(s.Shards, p.state())
	}
	return s
}

// Ready returns the watcher's view once there is one, or why there is none when the context ends.
func (c *Client) Ready(ctx context.Context) (State, error) {
	for {
		changed := c.watch.changed()
		if c.watch.topology.Load() != nil && c.watch.anyAnswering() {
			return c.State(), nil
		}
		if refused := c.watch.refusal(); refused != nil {
			return State{}, refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return State{}, unavailable(errNoMaster)
		}
	}
}

// covered counts the slots whose master both the cluster and this instance believe to be well.
func (w *watcher) covered(t *topology) int {
	covered := 0
	for _, p := range t.shards {
		if p.info.Health == view.Healthy && p.master.state() != down {
			covered += p.info.Slots
		}
	}
	return covered
}

// lastCovered is when all slots were last seen covered; long ago if they never were.
func (w *watcher) lastCovered() time.Time { return time.Unix(0, w.coveredAt.Load()) }

func (w *watcher) anyAnswering() bool {
	for _, n := range w.watched(time.Now()) {
		if n.state() == well && w.answeredWithin(n, time.Now(), 2*peaceful) {
			return true
		}
	}
	return false
}

func (p *placement) state() ShardState {
	s := ShardState{Name: p.name, Master: p.info.Addr, Slots: p.info.Slots, Writes: p.writes.Load()}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Waits, s.Moved = !p.troubled.IsZero(), p.moved
	if s.Waits {
		s.Stalled = time.Since(p.troubled)
	}
	return s
}

// stateOf is one node's state.
func (w *watcher) stateOf(t *topology, line view.Node) NodeState {
	s := NodeState{Node: line, Seen: well.String(), Lag: -1}
	if line.Health == view.NoAddress {
		s.Seen = down.String()
		return s
	}
	n := w.client.node(line.Addr)
	s.Seen, s.Silence = n.state().String(), n.pulse.silence()
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.checkupOf(n)
	s.Answered, s.InStep, s.LinkUp = u.last.at, u.inStep, u.last.replication.LinkUp
	if p := t.mastered(n); p != nil {
		s.Shard = p.name
	}
	if p := t.replicated(n); p != nil {
		s.Shard = p.name
		if m := w.checkupOf(p.master); !m.last.at.IsZero() && !u.last.at.IsZero() {
			s.Lag = max(0, m.last.replication.Offset-u.last.replication.Offset)
		}
	}
	return s
}
