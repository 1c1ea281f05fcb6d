package watch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

func TestTellChange(t *testing.T) {
	v := threeShards()
	down := func(v view.View, id string) view.View {
		return changed(v, id, func(n *view.Node) { n.Health = view.Failed })
	}
	for _, c := range []struct {
		name          string
		before, after view.View
		want          []EventType
	}{
		{"nothing", v, v, nil},
		{"a node joined", without(v, "r3"), v, []EventType{NodeJoined, TopologyAdopted}},
		{"a node left", v, without(v, "r3"), []EventType{NodeLeft, TopologyAdopted}},
		{"a replica failed", v, down(v, "r3"), []EventType{NodeFailed}},
		{"it returned", down(v, "r3"), v, nil},
		{"a master failed", v, down(v, "m1"), []EventType{NodeFailed, SlotsUncovered}},
		{"a master is suspected", v, changed(v, "m1", func(n *view.Node) { n.Health = view.Suspected }), []EventType{SlotsUncovered}},
		{"it returned, too", down(v, "m1"), v, []EventType{SlotsCovered}},
		{"one of two returned", down(down(v, "m1"), "m2"), down(v, "m1"), nil},
		{"a replica was promoted", down(v, "m1"), down(promoted(v, "r1"), "m1"), []EventType{Promoted, SlotsCovered, TopologyAdopted}},
		{"and back to its VM", promoted(v, "r1"), v, []EventType{Promoted, TopologyAdopted, Rebalanced}},
		{"slots changed", changed(v, "m1", func(n *view.Node) { n.Ranges, n.Slots = []view.SlotRange{{First: 0, Last: 5459}}, 5460 }), v,
			[]EventType{SlotsMoved, SlotsCovered, TopologyAdopted}},
		{"a master without slots got some", newMaster(v, 0), newMaster(v, 100), []EventType{SlotsMoved, SlotsMoved, TopologyAdopted}},
		{"slots moved to another", v, movedSlots(v, 5361, 5460), []EventType{SlotsMoved, SlotsMoved, TopologyAdopted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				before := x.w.place(c.before, nil)
				x.w.toldCovered = before.covered()
				x.tellChange(before, x.w.place(c.after, before))
				if got := x.types(); !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			})
		})
	}
}

// movedSlots returns the view in which the first or the last slots of m1 have moved to m2.
func movedSlots(v view.View, first, last int) view.View {
	v = changed(v, "m1", func(n *view.Node) {
		n.Ranges = []view.SlotRange{{First: last + 1, Last: 5460}}
		if first > 0 {
			n.Ranges = []view.SlotRange{{First: 0, Last: first - 1}}
		}
		n.Slots -= last - first + 1
	})
	return changed(v, "m2", func(n *view.Node) {
		n.Ranges, n.Slots = []view.SlotRange{{First: first, Last: last}, {First: 5461, Last: 10922}}, n.Slots+last-first+1
	})
}

// newMaster returns the view with a fourth master that owns the first slots of m1.
func newMaster(v view.View, slots int) view.View {
	v = changed(v, "m1", func(n *view.Node) { n.Ranges, n.Slots = []view.SlotRange{{First: slots, Last: 5460}}, 5461-slots })
	m4 := view.Node{ID: "m4", Addr: "10.0.0.7:6379", Hostname: "redis-7.vm4", Master: true, Epoch: 2, Health: view.Healthy, Slots: slots}
	if slots > 0 {
		m4.Ranges = []view.SlotRange{{First: 0, Last: slots - 1}}
	}
	v.Nodes = append(v.Nodes, m4)
	return v
}

// When another master takes the lowest slots of a shard, the shard keeps its memory, and no promotion is told.
func TestMovedSlotsAreNoPromotion(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		after := x.w.place(movedSlots(x.view, 0, 99), before)
		x.tellChange(before, after)
		if slices.Contains(x.types(), Promoted) || testutil.CollectAndCount(x.w.cfg.Metrics.failovers) != 0 {
			t.Errorf("told %v, counted %d failovers", x.types(), testutil.CollectAndCount(x.w.cfg.Metrics.failovers))
		}
		seen := map[*memory]string{}
		for _, p := range after.Shards {
			if other := seen[p.memory]; other != "" {
				t.Errorf("%s and %s share what is remembered of a shard", other, p.Info.ID)
			}
			seen[p.memory] = p.Info.ID
		}
	})
}

func TestTellFirstView(t *testing.T) {
	inWorld(t, func(x *world) {
		x.tellChange(nil, x.w.Topology())
		if got := x.types(); !slices.Equal(got, []EventType{TopologyAdopted}) {
			t.Errorf("got %v", got)
		}
		x.tellChange(nil, x.w.place(changed(x.view, "m2", func(n *view.Node) { n.Health = view.Failed }), nil))
		if got := x.types(); !slices.Equal(got[1:], []EventType{TopologyAdopted, SlotsUncovered}) {
			t.Errorf("with a master down: got %v", got)
		}
	})
}

// With assisted failover, only this instance has noticed the loss before the promotion.
func TestCoverageIsThisInstancesOwn(t *testing.T) {
	inWorld(t, func(x *world) {
		x.w.checkCoverage(time.Now())
		x.state("m1", peer.Down)
		x.w.checkCoverage(time.Now())
		x.w.checkCoverage(time.Now())
		x.adopt(promoted(x.view, "r1"))
		x.w.checkCoverage(time.Now())
		if got := x.types(); !slices.Equal(got, []EventType{SlotsUncovered, SlotsCovered}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestPromotionIsCountedAndRemembered(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		after := x.w.place(promoted(x.view, "r1"), before)
		ch := changeBetween(before, after)
		x.w.apply(after, ch)
		x.w.tellChange(after, ch)
		told, _ := x.w.events.Since(0)
		ev := told[0]
		if ev.Type != Promoted || ev.Shard != "0" || ev.Node != "redis-4.vm3" || ev.VM != "vm3" || ev.Text != "redis-4.vm3 took over from redis-1.vm1, epoch 2" {
			t.Errorf("got %+v", ev)
		}
		if n := testutil.ToFloat64(x.w.cfg.Metrics.failovers.WithLabelValues("0")); n != 1 {
			t.Errorf("%g failovers counted", n)
		}
		if after.At(0).lastMoved() != time.Now() || !after.At(5461).lastMoved().IsZero() {
			t.Error("the wrong shards have moved")
		}
	})
}

func TestStallsAreToldOnceAndTheirEnd(t *testing.T) {
	inWorld(t, func(x *world) {
		p := x.shard("m1")
		p.Trouble()
		x.w.tellStalls(time.Now())
		time.Sleep(stallShows)
		x.w.tellStalls(time.Now())
		x.w.tellStalls(time.Now())
		p.move(time.Now(), "m0")
		time.Sleep(time.Second)
		p.Served()
		p.Served()
		if got := x.types(); !slices.Equal(got, []EventType{WritesStalled, WritesResumed}) {
			t.Errorf("got %v", got)
		}
		if n := testutil.CollectAndCount(x.w.cfg.Metrics.failoverSeconds); n != 1 {
			t.Errorf("the failover was timed %d times", n)
		}
	})
}

// Reads leave a suspect node: a master's go to its replica, and a replica gets none.
func TestSuspicionSaysWhereReadsGo(t *testing.T) {
	inWorld(t, func(x *world) {
		x.w.tellState(x.node("m1"), peer.Suspect)
		x.w.tellState(x.node("r2"), peer.Suspect)
		told, _ := x.w.events.Since(0)
		if len(told) != 2 || !strings.HasSuffix(told[0].Text, " is suspect: reads go to its replica, writes wait") ||
			!strings.HasSuffix(told[1].Text, " is suspect: reads do not go to it") {
			t.Errorf("told %+v", told)
		}
	})
}
