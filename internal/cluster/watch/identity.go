package watch

import (
	"slices"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A node is its ID, not its address: addresses are used again, also by the nodes of another cluster, whose epochs may be
// higher. So two things are asked of whoever answers. It must be a node that the topology has at that address; and a view
// that shares no majority of its nodes with the topology is not believed, whatever its epoch. An instance without a
// topology believes its seeds: it has nothing else to go by.

// MayBe reports whether a node with this ID may answer at an address: the topology has it there, or nobody.
func (t *Topology) MayBe(addr, id string) bool {
	if t == nil {
		return true
	}
	listed := false
	for _, n := range t.View.Nodes {
		if n.Addr == addr {
			if n.ID == id {
				return true
			}
			listed = true
		}
	}
	return !listed
}

// kin reports whether a view may be of the same cluster: it has a majority of the nodes that the topology has. A topology
// in which nobody has slots binds nobody: there is nothing yet that could be lost.
func (t *Topology) kin(v view.View) bool {
	if t == nil || len(t.Shards) == 0 {
		return true
	}
	shared := 0
	for _, n := range t.View.Nodes {
		if _, ok := v.Node(n.ID); ok {
			shared++
		}
	}
	return shared > len(t.View.Nodes)/2
}

// recall gives a view the addresses that the topology has of masters for which the view has none: nodes forget the address
// of one at whose address another cluster's node answers. Redis never calls such a master failed, and promotes nobody. Its
// replica can still be leased, and asked to take over.
func (t *Topology) recall(v view.View) view.View {
	forgotten := func(n view.Node) bool { return n.Health == view.NoAddress && n.Master && n.Slots > 0 }
	if t == nil || !slices.ContainsFunc(v.Nodes, forgotten) {
		return v
	}
	v.Nodes = slices.Clone(v.Nodes)
	for i, n := range v.Nodes {
		if old, ok := t.View.Node(n.ID); ok && forgotten(n) {
			v.Nodes[i] = n.At(old)
			v.Nodes[i].Health = view.Suspected
		}
	}
	return v
}

// identify fails if another node answered than the one that is to be at the address, and notes that.
func (w *Watcher) identify(p *peer.Peer, v view.View) error {
	self, ok := v.Self()
	mistaken := ok && !w.Topology().MayBe(p.Addr, self.ID)
	news := p.Mistake(mistaken)
	if !mistaken {
		return nil
	}
	if news {
		n := w.Topology().Line(p.Addr)
		w.tell(about(ForeignNode, n, n.Name()+": another node answers at its address; it is not used"))
	}
	return peer.ErrOther
}

// isStranger notes whether a node's view is of another cluster, and tells of it once.
func (w *Watcher) isStranger(p *peer.Peer, v view.View) bool {
	strange := !w.Topology().kin(v)
	w.mu.Lock()
	u := w.checkupOf(p)
	news := u.strange != strange
	u.strange = strange
	w.mu.Unlock()
	if news && strange {
		n := w.Topology().Line(p.Addr)
		w.tell(about(ForeignNode, n, n.Name()+" tells of another cluster; its view is not believed"))
	}
	return strange
}
