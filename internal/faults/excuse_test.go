package faults

import (
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What a cut link excuses, with the masters of the shards on vm1, vm2, vm3, and their replicas on vm3, vm1, vm2.
func TestExcusesOfALink(t *testing.T) {
	d := &drill{t: t, setup: setup{onVMs: true}, services: []*clustertest.Service{{Name: "one"}, {Name: "two"}, {Name: "three"}}}
	may := d.acrossLink("vm1", "vm2")
	for _, c := range []struct {
		shard    int
		instance string
		want     bool
	}{
		{1, "one", false},
		{1, "two", true}, // its master is at the other end
		{1, "three", false},
		{2, "one", true}, // the link joins its master and its replica
		{2, "two", true},
		{2, "three", true},
		{3, "one", false},
		{3, "two", false},
		{3, "three", false},
	} {
		o := observation{placed: true, slot: uint16((c.shard - 1) * view.Slots / 3), instance: c.instance}
		if c.shard > 1 {
			o.slot++ // the first slot that is surely not the neighbour's
		}
		if got := may(o); got != c.want {
			t.Errorf("shard %d at %s: got %t", c.shard, c.instance, got)
		}
	}
	if !may(observation{instance: "three"}) {
		t.Error("a creation of unknown slot may be of shard 2")
	}
}
