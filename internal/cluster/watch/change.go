package watch

import (
	"slices"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A change is the difference between two topologies.
type change struct {
	first      bool // there was no topology before
	joined     []view.Node
	failed     []view.Node // newly marked as failed by a majority of masters
	left       []view.Node
	got        []*Shard // new shards
	promoted   []promotion
	resized    []*Shard  // shards whose slots have changed
	gone       []*memory // memories of shards that no longer exist
	rerouted   bool      // some commands go to another node
	rebalanced bool      // no VM holds two masters any more
}

// A promotion is a shard with a new master, and its former master.
type promotion struct {
	shard *Shard
	from  view.Node
}

// changeBetween compares two topologies; before may be nil.
func changeBetween(before, after *Topology) change {
	if before == nil {
		return change{first: true, rerouted: true}
	}
	ch := change{rerouted: !after.sameAs(before), rebalanced: !before.View.Balanced() && after.View.Balanced()}
	ch.compareNodes(before.View, after.View)
	ch.compareShards(before, after)
	return ch
}

func (ch *change) compareNodes(before, after view.View) {
	for _, n := range after.Nodes {
		old, known := before.Node(n.ID)
		switch {
		case !known:
			ch.joined = append(ch.joined, n)
		case old.Health != view.Failed && n.Health == view.Failed:
			ch.failed = append(ch.failed, n)
		}
	}
	for _, n := range before.Nodes {
		if _, still := after.Node(n.ID); !still {
			ch.left = append(ch.left, n)
		}
	}
}

func (ch *change) compareShards(before, after *Topology) {
	for _, s := range after.Shards {
		old := before.of(s.memory)
		switch {
		case old == nil:
			ch.got = append(ch.got, s)
		case old.Master != s.Master:
			ch.promoted = append(ch.promoted, promotion{s, old.Info})
		case !slices.Equal(old.Ranges, s.Ranges):
			ch.resized = append(ch.resized, s)
		}
	}
	for _, s := range before.Shards {
		if after.of(s.memory) == nil {
			ch.gone = append(ch.gone, s.memory)
		}
	}
}
