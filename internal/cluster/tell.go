package cluster

import (
	"fmt"
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What the watcher sees, told as events.

// tellState tells of a node's new state.
func (w *watcher) tellState(n *node, s state) {
	who := w.lineOf(n)
	ev := Event{Node: who.Name(), VM: who.VM()}
	switch s {
	case suspect:
		ev.Type, ev.Text = NodeSuspect, who.Name()+" owes an answer: reads go to its replica, writes wait"
	case down:
		ev.Type, ev.Text = NodeDown, fmt.Sprintf("%s has not answered for %s: its connections are closed", who.Name(), downAfter)
	case well:
		ev.Type, ev.Text = NodeUp, who.Name()+" answers"
	}
	w.events.add(ev)
}

// lineOf is the node's line in the view, or one with its address alone.
func (w *watcher) lineOf(n *node) view.Node {
	if t := w.topology.Load(); t != nil {
		for _, line := range t.view.Nodes {
			if line.Addr == n.addr {
				return line
			}
		}
	}
	return view.Node{Addr: n.addr}
}

// tellChange tells in what one topology differs from the one before.
func (w *watcher) tellChange(before, after *topology) {
	if before == nil {
		w.events.add(Event{Type: TopologyAdopted, Text: fmt.Sprintf("first view: %d nodes, epoch %d", len(after.view.Nodes), after.view.Epoch())})
		w.tellCoverage(after)
		return
	}
	w.tellNodes(before.view, after.view)
	w.tellShards(before, after)
	w.tellCoverage(after)
	if !after.sameAs(before) {
		w.events.add(Event{Type: TopologyAdopted, Text: fmt.Sprintf("commands go by epoch %d", after.view.Epoch())})
	}
	if !before.view.Balanced() && after.view.Balanced() {
		w.events.add(Event{Type: Rebalanced, Text: "no VM holds two masters"})
	}
}

func (w *watcher) tellNodes(before, after view.View) {
	for _, n := range after.Nodes {
		old, known := before.Node(n.ID)
		ev := Event{Node: n.Name(), VM: n.VM()}
		switch {
		case !known:
			ev.Type, ev.Text = NodeJoined, n.Name()+" joined as "+n.Role()
		case old.Health != view.Failed && n.Health == view.Failed:
			ev.Type, ev.Text = NodeFailed, "a majority of masters says that "+n.Name()+" is down"
		default:
			continue
		}
		w.events.add(ev)
	}
	for _, n := range before.Nodes {
		if _, still := after.Node(n.ID); !still {
			w.events.add(Event{Type: NodeLeft, Node: n.Name(), VM: n.VM(), Text: n.Name() + " left"})
		}
	}
}

func (w *watcher) tellShards(before, after *topology) {
	for _, p := range after.shards {
		old := before.of(p.shard)
		switch {
		case old == nil:
			w.events.add(Event{Type: SlotsMoved, Node: p.info.Name(), VM: p.info.VM(), Shard: p.name, Text: p.info.Name() + " has got slots"})
		case old.master != p.master:
			p.moveNow()
			w.client.metrics.failovers.WithLabelValues(p.name).Inc()
			w.events.add(Event{Type: Promoted, Node: p.info.Name(), VM: p.info.VM(), Shard: p.name,
				Text: fmt.Sprintf("%s took over from %s, epoch %d", p.info.Name(), old.info.Name(), p.info.Epoch)})
		case !slices.Equal(old.ranges, p.ranges):
			w.events.add(Event{Type: SlotsMoved, Node: p.info.Name(), VM: p.info.VM(), Shard: p.name, Text: "the slots of " + p.info.Name() + " changed"})
		}
	}
}

// tellCoverage tells when slots lose their master, or the last of them has one again, in this instance's own eyes: with
// assisted failover the cluster itself has not noticed anything by then. It is called with adopting held.
func (w *watcher) tellCoverage(t *topology) {
	before, after := w.toldCovered, w.covered(t)
	w.toldCovered = after
	switch {
	case after < before:
		w.events.add(Event{Type: SlotsUncovered, Text: fmt.Sprintf("%d slots have no master that is well", view.Slots-after)})
	case after > before && after == view.Slots:
		w.events.add(Event{Type: SlotsCovered, Text: "every slot has a master that is well"})
	}
}

// reportStalls tells of shards whose writes have been waiting for a moment.
func (w *watcher) reportStalls(now time.Time) {
	t := w.topology.Load()
	if t == nil {
		return
	}
	for _, p := range t.shards {
		if p.stallShown(now) {
			w.events.add(Event{Type: WritesStalled, Shard: p.name, Node: p.info.Name(), VM: p.info.VM(), Text: "writes to the shard of " + p.info.Name() + " wait"})
		}
	}
}

// served notes that a write to a shard succeeded.
func (w *watcher) served(p *placement) {
	gap, shown, moved := p.recovered()
	if gap == 0 {
		return
	}
	if moved {
		w.client.metrics.failoverSeconds.WithLabelValues(p.name).Observe(gap.Seconds())
	}
	if shown {
		w.events.add(Event{Type: WritesResumed, Shard: p.name, Node: p.info.Name(), VM: p.info.VM(),
			Text: fmt.Sprintf("writes to the shard of %s go on after %s", p.info.Name(), gap.Round(time.Millisecond))})
	}
}
