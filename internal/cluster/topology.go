package cluster

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A topology is what routing needs of a view. It never changes once it is made.
type topology struct {
	view   view.View
	shards []*placement           // in the order of their slots
	slots  [view.Slots]*placement // nil where a slot has no owner
}

// A placement is where a shard is.
type placement struct {
	*shard
	ranges   []view.SlotRange
	master   *node
	info     view.Node // the master's line in the view
	replicas []*replica
}

type replica struct {
	*node
	info view.Node
}

// A shard is what is remembered of one, whoever of its nodes is master and whichever slots it has. Its name is the lowest
// slot that it had when it was first seen.
type shard struct {
	name   string
	writes atomic.Int64 // under way

	mu       sync.Mutex
	moved    time.Time // when its master last changed; zero if it did not since we look; guarded by mu
	troubled time.Time // since when its writes fail or wait; zero if they do not; guarded by mu
	shown    bool      // the trouble was told as an event; guarded by mu
	ackless  time.Time // since when WAIT finds no replica that keeps up; zero if the last one did; guarded by mu
	lastWait time.Time // guarded by mu
}

// waited notes whether a WAIT found a replica that has everything.
func (s *shard) waited(acknowledged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case acknowledged:
		s.ackless = time.Time{}
	case s.ackless.IsZero(), time.Since(s.lastWait) > evidenceLasts:
		s.ackless = time.Now() // one that was long ago says nothing of the time between
	}
	s.lastWait = time.Now()
}

// acklessFor is for how long no replica has kept up.
func (s *shard) acklessFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ackless.IsZero() || now.Sub(s.lastWait) > evidenceLasts {
		return 0
	}
	return now.Sub(s.ackless)
}

// trouble notes that a write could not be served.
func (s *shard) trouble() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubled.IsZero() {
		s.troubled = time.Now()
	}
}

// stallShown reports, once for each trouble, that it has lasted long enough to be told.
func (s *shard) stallShown(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubled.IsZero() || s.shown || now.Sub(s.troubled) < stallShows {
		return false
	}
	s.shown = true
	return true
}

// recovered notes that a write was served, and returns for how long none was, whether that was told, and whether the
// master changed meanwhile.
func (s *shard) recovered() (gap time.Duration, shown, moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubled.IsZero() {
		return 0, false, false
	}
	gap, shown, moved = time.Since(s.troubled), s.shown, s.moved.After(s.troubled)
	s.troubled, s.shown = time.Time{}, false
	return gap, shown, moved
}

func (s *shard) moveNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = time.Now()
}

func (s *shard) lastMoved() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// newTopology places the shards of a view on nodes. The shards of the topology before live on.
func newTopology(v view.View, before *topology, nodeAt func(addr string) *node) *topology {
	t := &topology{view: v}
	known, names := before.memberships()
	for _, n := range v.Nodes {
		if !n.Master || n.Slots == 0 || n.Health == view.NoAddress {
			continue
		}
		p := &placement{shard: known[n.ID], ranges: n.Ranges, master: nodeAt(n.Addr), info: n}
		if p.shard == nil || t.of(p.shard) != nil { // new; or two nodes of one shard are masters of different slots now
			p.shard = &shard{name: nameShard(n, names)}
			names[p.name] = true
		}
		for _, r := range v.Nodes {
			if r.MasterID == n.ID && r.Health != view.NoAddress && r.Health != view.Handshake {
				p.replicas = append(p.replicas, &replica{nodeAt(r.Addr), r})
			}
		}
		t.shards = append(t.shards, p)
		for _, r := range n.Ranges {
			for s := r.First; s <= r.Last; s++ {
				t.slots[s] = p
			}
		}
	}
	slices.SortFunc(t.shards, func(a, b *placement) int { return cmp.Compare(a.ranges[0].First, b.ranges[0].First) })
	return t
}

// memberships are the shards by the IDs of their nodes, and their names.
func (t *topology) memberships() (shards map[string]*shard, names map[string]bool) {
	shards, names = map[string]*shard{}, map[string]bool{}
	if t == nil {
		return shards, names
	}
	for _, p := range t.shards {
		names[p.name] = true
		shards[p.info.ID] = p.shard
		for _, r := range p.replicas {
			shards[r.info.ID] = p.shard
		}
	}
	return shards, names
}

// nameShard is a name for a new shard: its lowest slot, or where another is called so, the node.
func nameShard(n view.Node, taken map[string]bool) string {
	if name := strconv.Itoa(n.Ranges[0].First); !taken[name] {
		return name
	}
	return n.Name()
}

// of is where a shard is; nil if it is nowhere.
func (t *topology) of(s *shard) *placement {
	i := slices.IndexFunc(t.shards, func(p *placement) bool { return p.shard == s })
	if i < 0 {
		return nil
	}
	return t.shards[i]
}

// clusterSlots is the topology as the ClusterClient takes it.
func (t *topology) clusterSlots() []redis.ClusterSlot {
	var slots []redis.ClusterSlot
	for _, p := range t.shards {
		nodes := []redis.ClusterNode{{ID: p.info.ID, Addr: p.info.Addr}}
		for _, r := range p.replicas {
			nodes = append(nodes, redis.ClusterNode{ID: r.info.ID, Addr: r.info.Addr})
		}
		for _, r := range p.ranges {
			slots = append(slots, redis.ClusterSlot{Start: r.First, End: r.Last, Nodes: nodes})
		}
	}
	return slots
}

// sameAs reports whether two topologies send every command to the same nodes.
func (t *topology) sameAs(other *topology) bool {
	return other != nil && slices.EqualFunc(t.shards, other.shards, func(a, b *placement) bool {
		return a.master == b.master && slices.Equal(a.ranges, b.ranges) &&
			slices.EqualFunc(a.replicas, b.replicas, func(x, y *replica) bool { return x.node == y.node })
	})
}

// awaited reports whether the node is a replica that may be promoted any moment, since its master is ill.
func (t *topology) awaited(n *node) bool {
	p := t.replicated(n)
	return p != nil && p.master.state() != well
}

// replicated is the shard that the node is a replica of; nil if it is none.
func (t *topology) replicated(n *node) *placement {
	for _, p := range t.shards {
		for _, r := range p.replicas {
			if r.node == n {
				return p
			}
		}
	}
	return nil
}

// regresses reports whether a view gives slots back to an owner of an older epoch: it is from before a failover.
func (t *topology) regresses(v view.View) bool {
	if t == nil {
		return false
	}
	for _, n := range v.Nodes {
		for _, r := range n.Ranges {
			old := t.slots[r.First]
			if old == nil || old.info.ID == n.ID || old.info.Epoch <= n.Epoch {
				continue
			}
			if _, member := v.Node(old.info.ID); member {
				return true
			}
		}
	}
	return false
}

// mastered is where the node is master; nil if it is not.
func (t *topology) mastered(n *node) *placement {
	i := slices.IndexFunc(t.shards, func(p *placement) bool { return p.master == n })
	if i < 0 {
		return nil
	}
	return t.shards[i]
}

// listsAsMaster reports whether the view shows the node as a master, if only of no slots.
func (t *topology) listsAsMaster(n *node) bool {
	return slices.ContainsFunc(t.view.Nodes, func(line view.Node) bool { return line.Master && line.Addr == n.addr })
}
