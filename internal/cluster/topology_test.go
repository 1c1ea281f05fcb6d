package cluster

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

func TestNewTopology(t *testing.T) {
	inWorld(t, func(x *world) {
		top := x.w.topology.Load()
		if len(top.shards) != 3 || top.shards[0].name != "0" || top.shards[1].name != "5461" || top.shards[2].name != "10923" {
			t.Fatalf("got %d shards", len(top.shards))
		}
		for slot, want := range map[int]string{0: "m1", 5460: "m1", 5461: "m2", 10922: "m2", 10923: "m3", 16383: "m3"} {
			p := top.at(slot)
			if p == nil || p.info.ID != want || p.master != x.node(want) || len(p.replicas) != 1 || p.replicas[0].info.ID != "r"+want[1:] {
				t.Errorf("slot %d is at %+v", slot, p)
			}
		}
		for _, id := range []string{"m1", "m2", "m3"} {
			if p := top.mastered(x.node(id)); p == nil || p.info.ID != id || top.replicated(x.node(id)) != nil {
				t.Errorf("%s is master of %v", id, p)
			}
			if p := top.replicated(x.node("r" + id[1:])); p == nil || p.info.ID != id || top.mastered(x.node("r"+id[1:])) != nil {
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
		top := newTopology(v, x.w.topology.Load(), x.c.node)
		if len(top.shards) != 2 || len(top.shards[0].replicas) != 0 || len(top.shards[1].replicas) != 0 {
			t.Fatalf("got %d shards", len(top.shards))
		}
		if top.at(0) != nil || top.at(10924) != nil || top.at(10923) != top.at(16383) || top.at(10923) == nil {
			t.Error("a slot without an owner has one, or one with an owner has none")
		}
		failed := newTopology(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Failed }), nil, x.c.node)
		if len(failed.at(0).replicas) != 1 {
			t.Error("a replica that failed is forgotten: it may be asked again when it returns")
		}
	})
	if (*topology)(nil).at(5) != nil {
		t.Error("nothing is known, and a slot has a place")
	}
}

// What is remembered of a shard goes with its slots, whoever is its master.
func TestShardOutlivesItsMaster(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.topology.Load()
		after := newTopology(promoted(x.view, "r1"), before, x.c.node)
		if after.at(0).shard != before.at(0).shard || after.at(0).master != x.node("r1") || after.at(0).replicas[0].node != x.node("m1") {
			t.Errorf("got %+v", after.at(0))
		}
	})
}

func TestTopologySameAs(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.topology.Load()
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
			if got := newTopology(c.view, before, x.c.node).sameAs(before); got != c.same {
				t.Errorf("%s: got %t", c.name, got)
			}
		}
		if before.sameAs(nil) {
			t.Error("the first is the same as none")
		}
	})
}

func TestClusterSlots(t *testing.T) {
	inWorld(t, func(x *world) {
		v := changed(x.view, "m1", func(n *view.Node) { n.Ranges = []view.SlotRange{{First: 0, Last: 99}, {First: 200, Last: 5460}} })
		slots := newTopology(v, nil, x.c.node).clusterSlots()
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

func TestShardTroubles(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1").shard
		if gap, _, _ := s.recovered(); gap != 0 {
			t.Errorf("a gap of %s without trouble", gap)
		}
		s.trouble()
		time.Sleep(60 * time.Millisecond)
		s.trouble() // the first counts
		if s.stallShown(time.Now()) {
			t.Error("told too early")
		}
		time.Sleep(60 * time.Millisecond)
		if !s.stallShown(time.Now()) || s.stallShown(time.Now()) {
			t.Error("not told once")
		}
		s.moveNow()
		time.Sleep(30 * time.Millisecond)
		if gap, shown, moved := s.recovered(); gap != 150*time.Millisecond || !shown || !moved {
			t.Errorf("got %s, %t, %t", gap, shown, moved)
		}
		s.trouble()
		time.Sleep(time.Millisecond)
		if gap, shown, moved := s.recovered(); gap != time.Millisecond || shown || moved {
			t.Errorf("the next trouble: got %s, %t, %t", gap, shown, moved)
		}
	})
}

func TestRedirect(t *testing.T) {
	inWorld(t, func(x *world) {
		rdb := x.node("m2").questions
		x.node("m2").traffic.Store(rdb)
		for _, c := range []struct {
			err    error
			to     string
			asking bool
		}{
			{reply("MOVED 3999 10.0.0.2:6379"), "m2", false},
			{reply("ASK 3999 10.0.0.2:6379"), "m2", true},
			{reply("MOVED 3999 10.0.0.3:6379"), "", false}, // no connections yet
			{reply("MOVED 3999 10.0.0.99:6379"), "", false},
			{reply("MOVED 3999 :6379"), "", false},
			{reply("MOVED 3999"), "", false},
			{reply("TRYAGAIN Multiple keys request during rehashing of slot"), "", false},
			{reply("ASKING 10.0.0.2:6379"), "", false},
			{errNoClient, "", false},
		} {
			var to redirect
			followed := x.w.redirect(c.err, &to)
			if followed != (c.to != "") || to.asking != c.asking || c.to != "" && to.node != x.node(c.to) || c.to == "" && to.node != nil {
				t.Errorf("%v: followed %t, to %+v", c.err, followed, to)
			}
			if isRedirect(c.err) != (len(x.w.kick) == 1) {
				t.Errorf("%v: the watcher was hurried: %d", c.err, len(x.w.kick))
			}
			select {
			case <-x.w.kick:
			default:
			}
			if first := to.take(); first.node != nil && to.node != nil {
				t.Errorf("%v: a redirect is for one attempt only", c.err)
			}
		}
	})
}

// A replica that gets slots of its own, beside its master, begins a shard of its own.
func TestTwoMastersOfOneShardDoNotShareItsMemory(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.topology.Load()
		after := newTopology(changed(x.view, "r1", func(n *view.Node) {
			n.Master, n.MasterID, n.Slots, n.Ranges = true, "", 1, []view.SlotRange{{First: 5460, Last: 5460}}
		}), before, x.c.node)
		seen := map[*shard]bool{}
		for _, p := range after.shards {
			if seen[p.shard] {
				t.Errorf("%s shares what is remembered of a shard", p.info.ID)
			}
			seen[p.shard] = true
		}
		if len(seen) != 4 {
			t.Errorf("%d shards", len(seen))
		}
	})
}
