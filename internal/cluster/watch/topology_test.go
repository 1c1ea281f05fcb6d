package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

func TestNewTopology(t *testing.T) {
	inWorld(t, func(x *world) {
		top := x.w.Topology()
		if len(top.Shards) != 3 || top.Shards[0].name != "0" || top.Shards[1].name != "5461" || top.Shards[2].name != "10923" {
			t.Fatalf("got %d shards", len(top.Shards))
		}
		for slot, want := range map[int]string{0: "m1", 5460: "m1", 5461: "m2", 10922: "m2", 10923: "m3", 16383: "m3"} {
			p := top.At(slot)
			if p == nil || p.Info.ID != want || p.Master != x.node(want) || len(p.Replicas) != 1 || p.Replicas[0].Info.ID != "r"+want[1:] {
				t.Errorf("slot %d is at %+v", slot, p)
			}
		}
		for _, id := range []string{"m1", "m2", "m3"} {
			if p := top.MasteredBy(x.node(id)); p == nil || p.Info.ID != id || top.replicatedBy(x.node(id)) != nil {
				t.Errorf("%s is master of %v", id, p)
			}
			if p := top.replicatedBy(x.node("r" + id[1:])); p == nil || p.Info.ID != id || top.MasteredBy(x.node("r"+id[1:])) != nil {
				t.Errorf("r%s is a replica of %v", id[1:], p)
			}
		}
	})
}

func TestTopologyLeavesOut(t *testing.T) {
	inWorld(t, func(x *world) {
		v := changed(x.view, "m1", func(n *view.Node) { n.Health = view.NoAddress })
		v = changed(v, "r2", func(n *view.Node) { n.Health = view.Handshake })
		v = changed(v, "r3", func(n *view.Node) { n.Health = view.NoAddress })
		v = changed(v, "m3", func(n *view.Node) {
			n.Ranges, n.Slots = []view.SlotRange{{First: 16383, Last: 16383}, {First: 10923, Last: 10923}}, 2
		})
		v.Nodes = append(v.Nodes, view.Node{ID: "m4", Addr: "10.0.0.7:6379", Master: true, Health: view.Healthy})
		top := x.w.place(v, x.w.Topology())
		if len(top.Shards) != 2 || len(top.Shards[0].Replicas) != 0 || len(top.Shards[1].Replicas) != 0 {
			t.Fatalf("got %d shards", len(top.Shards))
		}
		if top.At(0) != nil || top.At(10924) != nil || top.At(10923) != top.At(16383) || top.At(10923) == nil {
			t.Error("a slot without an owner has one, or one with an owner has none")
		}
		failed := x.w.place(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Failed }), nil)
		if len(failed.At(0).Replicas) != 1 {
			t.Error("a replica that failed is forgotten: it may be asked again when it returns")
		}
	})
	if (*Topology)(nil).At(5) != nil {
		t.Error("nothing is known, and a slot has a place")
	}
}

// The memory of a shard stays with its slots, whichever node is master.
func TestShardOutlivesItsMaster(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		after := x.w.place(promoted(x.view, "r1"), before)
		if after.At(0).memory != before.At(0).memory || after.At(0).Master != x.node("r1") || after.At(0).Replicas[0].Peer != x.node("m1") {
			t.Errorf("got %+v", after.At(0))
		}
	})
}

func TestTopologySameAs(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		for _, c := range []struct {
			name string
			view view.View
			same bool
		}{
			{"the same", x.view, true},
			{"an epoch and a health differ", changed(x.view, "m1", func(n *view.Node) { n.Epoch, n.Health = 9, view.Suspected }), true},
			{"a replica was promoted", promoted(x.view, "r1"), false},
			{"a replica is gone", without(x.view, "r1"), false},
			{"a master is gone", without(x.view, "m1"), false},
			{"a master changed its address", changed(x.view, "m1", func(n *view.Node) { n.Addr = "10.0.0.9:6379" }), false},
			{"slots moved", changed(x.view, "m1", func(n *view.Node) { n.Ranges = []view.SlotRange{{First: 0, Last: 5000}} }), false},
			{"a replica changed its address", changed(x.view, "r1", func(n *view.Node) { n.Addr = "10.0.0.9:6379" }), false},
		} {
			if got := x.w.place(c.view, before).sameAs(before); got != c.same {
				t.Errorf("%s: got %t", c.name, got)
			}
		}
		if before.sameAs(nil) {
			t.Error("the first is the same as none")
		}
	})
}

func TestShardTroubles(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1").memory
		if gap, _, _ := s.recovered(); gap != 0 {
			t.Errorf("a gap of %s without trouble", gap)
		}
		s.Trouble()
		time.Sleep(60 * time.Millisecond)
		s.Trouble() // the first counts
		if s.stallShown(time.Now()) {
			t.Error("told too early")
		}
		time.Sleep(60 * time.Millisecond)
		if !s.stallShown(time.Now()) || s.stallShown(time.Now()) {
			t.Error("not told once")
		}
		s.move(time.Now(), "m0")
		time.Sleep(30 * time.Millisecond)
		if gap, shown, moved := s.recovered(); gap != 150*time.Millisecond || !shown || !moved {
			t.Errorf("got %s, %t, %t", gap, shown, moved)
		}
		s.Trouble()
		time.Sleep(time.Millisecond)
		if gap, shown, moved := s.recovered(); gap != time.Millisecond || shown || moved {
			t.Errorf("the next trouble: got %s, %t, %t", gap, shown, moved)
		}
	})
}

// A replica that receives slots of its own while its master keeps others becomes the master of a new shard.
func TestTwoMastersOfOneShardDoNotShareItsMemory(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		after := x.w.place(changed(x.view, "r1", func(n *view.Node) {
			n.Master, n.MasterID, n.Slots, n.Ranges = true, "", 1, []view.SlotRange{{First: 5460, Last: 5460}}
		}), before)
		seen := map[*memory]bool{}
		for _, p := range after.Shards {
			if seen[p.memory] {
				t.Errorf("%s shares what is remembered of a shard", p.Info.ID)
			}
			seen[p.memory] = true
		}
		if len(seen) != 4 {
			t.Errorf("%d shards", len(seen))
		}
	})
}

// A view from before a failover gives slots back to an owner of an older epoch, if only some of them, in a range of others.
func TestRegresses(t *testing.T) {
	inWorld(t, func(x *world) {
		after := x.w.place(promoted(x.view, "r1"), nil)
		owns := func(ranges ...view.SlotRange) view.View {
			v := promoted(x.view, "r1")
			v = changed(v, "r1", func(n *view.Node) { n.Ranges = []view.SlotRange{{First: 0, Last: 0}} })
			return changed(v, "m2", func(n *view.Node) { n.Ranges = ranges })
		}
		for _, c := range []struct {
			name string
			view view.View
			want bool
		}{
			{"the same", promoted(x.view, "r1"), false},
			{"before the failover", x.view, true},
			{"the winner has left", without(x.view, "r1"), false},
			{"some of its slots, in the middle of a range of others", owns(view.SlotRange{First: 5000, Last: 10922}), true},
			{"slots that are not its own", owns(view.SlotRange{First: 5461, Last: 10922}), false},
		} {
			if got := after.regresses(c.view); got != c.want {
				t.Errorf("%s: got %t", c.name, got)
			}
		}
	})
}
