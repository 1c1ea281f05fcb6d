package cluster

import (
	"strings"
	"testing"
)

func TestSlotMap(t *testing.T) {
	inStill(t, func(x *still) {
		x.says(0, strings.Replace(sixNodes, "connected 0-5460", "connected 0-99 200-5460", 1))
		slots := slotMap(x.watch.Topology())
		if len(slots) != 4 || slots[0].Start != 0 || slots[0].End != 99 || slots[1].Start != 200 || slots[1].End != 5460 {
			t.Fatalf("got %+v", slots)
		}
		for _, s := range slots[:2] {
			if len(s.Nodes) != 2 || s.Nodes[0].Addr != "10.0.0.1:6379" || s.Nodes[1].Addr != "10.0.0.4:6379" {
				t.Errorf("got %+v, want the master first", s.Nodes)
			}
		}
	})
}

// An adopted topology is the ClusterClient's slot map at once, and all of its nodes have connections.
func TestTrafficFollowsTheWatcher(t *testing.T) {
	inStill(t, func(x *still) {
		for i := range 6 {
			rdb, err := x.node(i).Traffic()
			if err != nil || rdb.NodeAddress() != x.node(i).Addr {
				t.Errorf("%s: %v", x.node(i).Addr, err)
			}
		}
		before, _ := x.node(0).Traffic()
		x.says(0, strings.Replace(sixNodes, "connected 0-5460", "connected 1-5460", 1))
		if got, _ := x.traffic.clusterSlots(t.Context()); got[0].Start != 1 {
			t.Errorf("the slot map begins with %+v", got[0])
		}
		if after, _ := x.node(0).Traffic(); after != before {
			t.Error("a node's connections were made anew")
		}
	})
}
