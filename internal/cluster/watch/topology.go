package watch

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Topology is a view in the form that routing needs: the shards and the slot map. It never changes once it is made.
type Topology struct {
	View   view.View
	Shards []*Shard           // in the order of their slots
	slots  [view.Slots]*Shard // nil for a slot without an owner
}

// place makes a topology of a view. Its shards take over the memories of those in the topology before.
func (w *Watcher) place(v view.View, before *Topology) *Topology {
	t := &Topology{View: v}
	known, names := before.memories()
	for _, n := range v.Nodes {
		if !n.Master || n.Slots == 0 || n.Health == view.NoAddress {
			continue
		}
		s := &Shard{memory: known[n.ID], watch: w, Ranges: n.Ranges, Master: w.peers.At(n.Addr), Info: n}
		if s.memory == nil || t.of(s.memory) != nil { // a new shard, or two nodes of one shard are now masters of different slots
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

// memories returns the memories of the shards by the IDs of their nodes, and the names of the shards.
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

// nameShard returns a name for a new shard: its lowest slot or, if that is taken, the name of its master.
func nameShard(n view.Node, taken map[string]bool) string {
	if name := strconv.Itoa(n.Ranges[0].First); !taken[name] {
		return name
	}
	return n.Name()
}

// At returns the shard that owns a slot; nil if none does, or if t is nil.
func (t *Topology) At(slot int) *Shard {
	if t == nil {
		return nil
	}
	return t.slots[slot]
}

// MasteredBy returns the shard whose master the peer is; nil if there is none.
func (t *Topology) MasteredBy(p *peer.Peer) *Shard {
	return t.find(func(s *Shard) bool { return s.Master == p })
}

// Lists reports whether the view lists a node with the address.
func (t *Topology) Lists(addr string) bool {
	return t != nil && slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool { return n.Addr == addr })
}

// Named returns the node of the view that has an address, by IP or by host name, as in a redirect.
func (t *Topology) Named(addr string) (view.Node, bool) {
	if t == nil {
		return view.Node{}, false
	}
	return t.View.Named(addr)
}

// Line returns the view's node with the address, or a node that has nothing but the address.
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

// of returns the shard that has a memory; nil if there is none.
func (t *Topology) of(m *memory) *Shard {
	return t.find(func(s *Shard) bool { return s.memory == m })
}

// replicatedBy returns the shard whose replica the peer is; nil if there is none.
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

// mayBePromoted reports whether the peer is a replica that may be promoted soon, because its master is not well.
func (t *Topology) mayBePromoted(p *peer.Peer) bool {
	s := t.replicatedBy(p)
	return s != nil && s.Master.State() != peer.Well
}

// regresses reports whether a view gives slots back to an owner with an older epoch, and so is from before a failover.
func (t *Topology) regresses(v view.View) bool {
	if t == nil {
		return false
	}
	for _, old := range t.Shards {
		_, member := v.Node(old.Info.ID)
		for _, n := range v.Nodes {
			if member && n.ID != old.Info.ID && n.Epoch < old.Info.Epoch && overlap(n.Ranges, old.Ranges) {
				return true
			}
		}
	}
	return false
}

func overlap(as, bs []view.SlotRange) bool {
	return slices.ContainsFunc(as, func(a view.SlotRange) bool {
		return slices.ContainsFunc(bs, func(b view.SlotRange) bool { return a.First <= b.Last && b.First <= a.Last })
	})
}

// listsAsMaster reports whether the view lists the peer as a master, with or without slots.
func (t *Topology) listsAsMaster(p *peer.Peer) bool {
	return slices.ContainsFunc(t.View.Nodes, func(n view.Node) bool { return n.Master && n.Addr == p.Addr })
}

// owned counts the slots that a node owns, healthy or not.
func (t *Topology) owned() int {
	owned := 0
	for _, s := range t.Shards {
		owned += s.Info.Slots
	}
	return owned
}

// covered counts the slots whose master is healthy for the cluster and not down for this instance.
func (t *Topology) covered() int {
	covered := 0
	for _, s := range t.Shards {
		if s.Info.Health == view.Healthy && s.Master.State() != peer.Down {
			covered += s.Info.Slots
		}
	}
	return covered
}

// Place waits until a shard owns the slot, and returns it. It fails when the context ends, or at once if no node accepts
// our credentials.
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
