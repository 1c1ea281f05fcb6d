package watch

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Topology is what routing needs of a view. It never changes once it is made.
type Topology struct {
	View   view.View
	Shards []*Shard           // in the order of their slots
	slots  [view.Slots]*Shard // nil where a slot has no owner
}

// place makes a topology of a view. What is remembered of the shards of the topology before lives on.
func (w *Watcher) place(v view.View, before *Topology) *Topology {
	t := &Topology{View: v}
	known, names := before.memories()
	for _, n := range v.Nodes {
		if !n.Master || n.Slots == 0 || n.Health == view.NoAddress {
			continue
		}
		s := &Shard{memory: known[n.ID], watch: w, Ranges: n.Ranges, Master: w.peers.At(n.Addr), Info: n}
		if s.memory == nil || t.of(s.memory) != nil { // new; or two nodes of one shard are masters of different slots now
			s.memory = &memory{name: nameShard(n, names)}
			names[s.name] = true
		}
		for _, r := range v.Nodes {
			if r.MasterID == n.ID && r.Reachable() {
				s.Replicas = append(s.Replicas, Replica{w.peers.At(r.Addr), r})
			}
		}
		t.add(s)
	}
	slices.SortFunc(t.Shards, func(a, b *Shard) int { return cmp.Compare(a.Ranges[0].First, b.Ranges[0].First) })
	return t
}

func (t *Topology) add(s *Shard) {
	t.Shards = append(t.Shards, s)
	for _, r := range s.Ranges {
		for slot := r.First; slot <= r.Last; slot++ {
			t.slots[slot] = s
		}
	}
}

// memories are what is remembered of the shards, by the IDs of their nodes, and their names.
func (t *Topology) memories() (byNode map[string]*memory, names map[string]bool) {
	byNode, names = map[string]*memory{}, map[string]bool{}
	if t == nil {
		return byNode, names
	}
	for _, s := range t.Shards {
		names[s.name] = true
		byNode[s.Info.ID] = s.memory
		for _, r := range s.Replicas {
			byNode[r.Info.ID] = s.memory
		}
	}
	return byNode, names
}

// nameShard is a name for a new shard: its lowest slot, or where another is called so, the node.
func nameShard(n view.Node, taken map[string]bool) string {
	if name := strconv.Itoa(n.Ranges[0].First); !taken[name] {
		return name
	}
	return n.Name()
}

// At is where a slot is; nil if it is nowhere, or if nothing is known yet.
func (t *Topology) At(slot int) *Shard {
	if t == nil {
		return nil
	}
	return t.slots[slot]
}

// MasteredBy is the shard that the peer is master of; nil if it is none.
func (t *Topology) MasteredBy(p *peer.Peer) *Shard {
	return t.find(func(s *Shard) bool { return s.Master == p })
}

// Lists reports whether the view shows a node at an address.
func (t *Topology) Lists(addr string) bool {
	return t != nil && slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool { return n.Addr == addr })
}

// Line is the view's line of the node at an address, or one with its address alone.
func (t *Topology) Line(addr string) view.Node {
	if t != nil {
		for _, n := range t.View.Nodes {
			if n.Addr == addr {
				return n
			}
		}
	}
	return view.Node{Addr: addr}
}

// of is where a shard is that something is remembered of; nil if it is nowhere.
func (t *Topology) of(m *memory) *Shard {
	return t.find(func(s *Shard) bool { return s.memory == m })
}

// replicatedBy is the shard that the peer is a replica of; nil if it is none.
func (t *Topology) replicatedBy(p *peer.Peer) *Shard {
	return t.find(func(s *Shard) bool {
		return slices.ContainsFunc(s.Replicas, func(r Replica) bool { return r.Peer == p })
	})
}

func (t *Topology) find(holds func(*Shard) bool) *Shard {
	if t != nil {
		if i := slices.IndexFunc(t.Shards, holds); i >= 0 {
			return t.Shards[i]
		}
	}
	return nil
}

// sameAs reports whether two topologies send every command to the same nodes.
func (t *Topology) sameAs(other *Topology) bool {
	return other != nil && slices.EqualFunc(t.Shards, other.Shards, func(a, b *Shard) bool {
		return a.Master == b.Master && slices.Equal(a.Ranges, b.Ranges) &&
			slices.EqualFunc(a.Replicas, b.Replicas, func(x, y Replica) bool { return x.Peer == y.Peer })
	})
}

// mayBePromoted reports whether the peer is a replica that may be promoted any moment, since its master is ill.
func (t *Topology) mayBePromoted(p *peer.Peer) bool {
	s := t.replicatedBy(p)
	return s != nil && s.Master.State() != peer.Well
}

// regresses reports whether a view gives slots back to an owner of an older epoch: it is from before a failover.
func (t *Topology) regresses(v view.View) bool {
	if t == nil {
		return false
	}
	for _, n := range v.Nodes {
		for _, r := range n.Ranges {
			old := t.slots[r.First]
			if old == nil || old.Info.ID == n.ID || old.Info.Epoch <= n.Epoch {
				continue
			}
			if _, member := v.Node(old.Info.ID); member {
				return true
			}
		}
	}
	return false
}

// listsAsMaster reports whether the view shows the peer as a master, if only of no slots.
func (t *Topology) listsAsMaster(p *peer.Peer) bool {
	return slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool { return n.Master && n.Addr == p.Addr })
}

// covered counts the slots whose master both the cluster and this instance believe to be well.
func (t *Topology) covered() int {
	covered := 0
	for _, s := range t.Shards {
		if s.Info.Health == view.Healthy && s.Master.State() != peer.Down {
			covered += s.Info.Slots
		}
	}
	return covered
}

// Place waits until it is known where a slot is. It fails when the context ends, or at once when no node lets us in.
func (w *Watcher) Place(ctx context.Context, slot int) (*Shard, error) {
	for {
		changed := w.Changed()
		if s := w.Topology().At(slot); s != nil {
			return s, ctx.Err()
		}
		if refused := w.Refusal(); refused != nil {
			return nil, refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ErrNoMaster
		}
	}
}
