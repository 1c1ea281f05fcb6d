package watch

import (
	"errors"
	"fmt"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What the watcher sees, told as events. Telling makes no decision: it changes nothing but toldCovered.

func (w *Watcher) tell(ev Event) {
	w.cfg.Metrics.told(ev.Type)
	if w.events != nil {
		w.events.add(ev)
	}
}

// about makes an event about a node.
func about(what EventType, n view.Node, text string) Event {
	return Event{Type: what, Node: n.Name(), VM: n.VM(), Text: text}
}

// of makes an event about a shard and the node that is its master.
func of(what EventType, s *Shard, text string) Event {
	ev := about(what, s.Info, text)
	ev.Shard = s.name
	return ev
}

// tellState tells a node's new state.
func (w *Watcher) tellState(p *peer.Peer, s peer.State) {
	n := w.Topology().Line(p.Addr)
	switch s {
	case peer.Suspect:
		w.tell(about(NodeSuspect, n, n.Name()+" is suspect: "+whileSuspect(n)))
	case peer.Down:
		w.tell(about(NodeDown, n, fmt.Sprintf("%s has not answered for %s: its connections are closed", n.Name(), peer.DownAfter)))
	case peer.Well:
		w.tell(about(NodeUp, n, n.Name()+" answers"))
	}
}

// whileSuspect is what this instance does while a node is suspect.
func whileSuspect(n view.Node) string {
	if n.Master {
		return "reads go to its replica, writes wait"
	}
	return "reads do not go to it"
}

// tellFailure tells why a node does not answer, once for each reason until it does. ErrOther has an event of its own.
func (w *Watcher) tellFailure(p *peer.Peer, err error) {
	if err == nil || errors.Is(err, peer.ErrOther) {
		return
	}
	if why := w.newFailure(p); why != "" {
		n := w.Topology().Line(p.Addr)
		w.tell(about(NodeFailing, n, n.Name()+" does not answer: "+why))
	}
}

// tellChange tells the change that has led to a topology. It is called with adopting held.
func (w *Watcher) tellChange(after *Topology, ch change) {
	if ch.first {
		w.tell(Event{Type: TopologyAdopted, Text: fmt.Sprintf("first view: %d nodes, epoch %d", len(after.View.Nodes), after.View.Epoch())})
		w.tellCoverage(after)
		return
	}
	w.tellNodes(ch)
	w.tellShards(ch)
	w.tellCoverage(after)
	if ch.rerouted {
		w.tell(Event{Type: TopologyAdopted, Text: fmt.Sprintf("commands follow the topology of epoch %d", after.View.Epoch())})
	}
	if ch.rebalanced {
		w.tell(Event{Type: Rebalanced, Text: "no VM holds two masters"})
	}
}

func (w *Watcher) tellNodes(ch change) {
	for _, n := range ch.joined {
		w.tell(about(NodeJoined, n, n.Name()+" joined as "+n.Role()))
	}
	for _, n := range ch.failed {
		w.tell(about(NodeFailed, n, "a majority of masters agrees that "+n.Name()+" is down"))
	}
	for _, n := range ch.left {
		w.tell(about(NodeLeft, n, n.Name()+" left"))
	}
}

func (w *Watcher) tellShards(ch change) {
	for _, s := range ch.got {
		w.tell(of(SlotsMoved, s, s.Info.Name()+" now owns slots"))
	}
	for _, m := range ch.promoted {
		w.cfg.Metrics.failedOver(m.shard.name)
		w.tell(of(Promoted, m.shard, fmt.Sprintf("%s took over from %s, epoch %d", m.shard.Info.Name(), m.from.Name(), m.shard.Info.Epoch)))
	}
	for _, s := range ch.resized {
		w.tell(of(SlotsMoved, s, "the slots of "+s.Info.Name()+" changed"))
	}
}

// tellCoverage tells when slots lose their master, and when every slot has one again. It goes by what this instance sees:
// with assisted failover, the cluster itself has not noticed the loss by then. It is called with adopting held.
func (w *Watcher) tellCoverage(t *Topology) {
	before, after := w.toldCovered, t.covered()
	w.toldCovered = after
	switch {
	case after < before:
		w.tell(Event{Type: SlotsUncovered, Text: fmt.Sprintf("%d slots have no healthy master", view.Slots-after)})
	case after > before && after == view.Slots:
		w.tell(Event{Type: SlotsCovered, Text: "every slot has a healthy master"})
	}
}

// tellStalls tells which shards' writes have been waiting for stallShows.
func (w *Watcher) tellStalls(now time.Time) {
	t := w.Topology()
	if t == nil {
		return
	}
	for _, s := range t.Shards {
		if s.stallShown(now) {
			w.tell(of(WritesStalled, s, "writes to the shard of "+s.Info.Name()+" are waiting"))
		}
	}
}

// tellServed tells that writes to a shard have resumed after a gap. shown is whether the gap was told, and moved whether
// the master changed during it.
func (w *Watcher) tellServed(s *Shard, gap time.Duration, shown, moved bool) {
	if moved {
		w.cfg.Metrics.recovered(s.name, gap)
	}
	if shown {
		w.tell(of(WritesResumed, s, fmt.Sprintf("writes to the shard of %s resumed after %s", s.Info.Name(), gap.Round(time.Millisecond))))
	}
}
