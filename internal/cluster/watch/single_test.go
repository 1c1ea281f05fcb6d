package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// ackless makes WAIT find no replica of m1 for a duration, the last time just now.
func (x *world) ackless(d, every time.Duration) {
	for end := time.Now().Add(d); ; time.Sleep(min(every, time.Until(end))) {
		x.shard("m1").Waited(false)
		if !time.Now().Before(end) {
			break
		}
	}
	x.answers("m1", 0)
	x.answers("m2", 0)
	x.answers("m3", 0)
}

func TestLeaveBehind(t *testing.T) {
	inWorld(t, func(x *world) {
		x.shard("m1").LeaveBehind()
		if x.checkup("r1").inStep || !x.checkup("r2").inStep {
			t.Errorf("in step: r1 %t, r2 %t", x.checkup("r1").inStep, x.checkup("r2").inStep)
		}
	})
}

// Two replicas: WAIT does not tell which of them it counts.
func TestSufficesOfTwoReplicas(t *testing.T) {
	for _, c := range []struct {
		name   string
		world  func(*world)
		copies int64
		needed int64
		want   bool
	}{
		{"both have it", func(*world) {}, 2, 2, true},
		{"one has it, and either could take over", func(*world) {}, 1, 2, false},
		{"one has it, and the other is out of touch", func(x *world) { x.silent("r3", evidenceLasts+1) }, 1, 2, true},
		{"the same, but no majority says that the master rules", func(x *world) {
			x.silent("r3", evidenceLasts+1)
			x.never("m2")
			x.never("m3")
		}, 1, 2, false},
		{"none has it, and one is out of touch", func(x *world) { x.silent("r3", evidenceLasts+1) }, 0, 2, false},
		{"none has it, and both are out of touch", func(x *world) {
			x.silent("r1", evidenceLasts+1)
			x.silent("r3", evidenceLasts+1)
		}, 0, 2, true},
		{"one has it, and the cluster says that the other has failed", func(x *world) {
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID, n.Health = "m1", view.Failed }))
			x.state("r3", peer.Down)
		}, 1, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID = "m1" }))
				m1 := x.shard("m1")
				c.world(x)
				if got := m1.Suffices(c.copies); got != c.want || m1.Needed() != c.needed {
					t.Errorf("got %t, %d are needed", got, m1.Needed())
				}
			})
		})
	}
}

// A write that only a former master has is not acknowledged, and what its WAIT found says nothing of the next one.
func TestFormerMasterHasNoSay(t *testing.T) {
	inWorld(t, func(x *world) {
		former := x.shard("m1")
		if !former.LeaveBehind() {
			t.Error("the master rules, and may not acknowledge")
		}
		former.Waited(false)
		x.adopt(promoted(x.view, "r1"))
		if former.Suffices(0) || !former.Suffices(1) {
			t.Error("a former master's write may be acknowledged if its replica has it, and only then")
		}
		x.checkup("m1").inStep = true
		if former.LeaveBehind() || !x.checkup("m1").inStep {
			t.Error("a former master's write may be acknowledged")
		}
		time.Sleep(acklessLasts)
		former.Waited(false)
		if got := x.shard("r1").acklessFor(time.Now()); got != 0 {
			t.Errorf("the new master has waited in vain for %s", got)
		}
	})
}

// Each condition of the proof on its own.
func TestSufficesAlone(t *testing.T) {
	const node = 2 * time.Second // timeout
	unheard := func(x *world) { x.silent("r1", evidenceLasts+1) }
	both := func(x *world, change ...func(*received)) {
		x.answers("m2", 0, change...)
		x.answers("m3", 0, change...)
	}
	for _, c := range []struct {
		name  string
		world func(*world)
		want  bool
	}{
		{"the replica is well", func(*world) {}, false},
		{"the replica is silent for long, and a majority sees the master rule", unheard, true},
		{"silence too short", func(x *world) { x.silent("r1", evidenceLasts-time.Microsecond) }, false},
		{"the replica has had no link for long", func(x *world) { x.checkup("r1").outFrom = time.Now().Add(-acklessLasts - 1) }, true},
		{"the link has not been down for long", func(x *world) { x.checkup("r1").outFrom = time.Now().Add(-acklessLasts) }, false},
		{"the replica is loading, and cannot stand for election", func(x *world) {
			x.checkup("r1").outFrom = time.Now().Add(-evidenceLasts - 1)
			x.node("r1").Stage(peer.Staged{Loading: true})
		}, true},
		{"WAIT has found no replica for long, again and again", func(x *world) {
			x.ackless(acklessLasts+time.Millisecond, 50*time.Millisecond)
		}, true},
		{"the same, but without a majority", func(x *world) {
			x.ackless(acklessLasts+time.Millisecond, 50*time.Millisecond)
			x.never("m2")
			x.never("m3")
		}, false},
		{"WAIT has not found any for a moment", func(x *world) { x.ackless(acklessLasts, 50*time.Millisecond) }, false},
		{"the last WAIT found one", func(x *world) {
			x.ackless(acklessLasts+time.Second, 50*time.Millisecond)
			x.shard("m1").Waited(true)
		}, false},
		{"a single WAIT found none, an hour ago: it says nothing of now", func(x *world) {
			x.shard("m1").Waited(false)
			time.Sleep(time.Hour)
			x.answers("m1", 0)
			x.answers("m2", 0)
			x.answers("m3", 0)
		}, false},
		{"evidence just young enough", func(x *world) {
			unheard(x)
			x.answers("m2", evidenceLasts)
			x.answers("m3", evidenceLasts)
		}, true},
		{"evidence of the others is old: the master's own word is no majority", func(x *world) {
			unheard(x)
			x.answers("m2", evidenceLasts+1)
			x.answers("m3", evidenceLasts+1)
		}, false},
		{"one other's and the master's own word are a majority", func(x *world) {
			unheard(x)
			x.never("m3")
		}, true},
		{"the two others are a majority", func(x *world) {
			unheard(x)
			x.never("m1")
		}, true},
		{"one other alone is none", func(x *world) {
			unheard(x)
			x.never("m1")
			x.never("m3")
		}, false},
		{"nobody has answered", func(x *world) {
			unheard(x)
			x.never("m1")
			x.never("m2")
			x.never("m3")
		}, false},
		{"pongs as old as three quarters of the node timeout", func(x *world) {
			unheard(x)
			both(x, pong("m1", node*3/4))
		}, false},
		{"pongs a little younger", func(x *world) {
			unheard(x)
			both(x, pong("m1", node*3/4-time.Millisecond))
		}, true},
		{"the others do not know their node timeout", func(x *world) {
			unheard(x)
			both(x, func(a *received) { a.NodeTimeout = 0 })
		}, false},
		{"the others do not say what time it is", func(x *world) {
			unheard(x)
			both(x, func(a *received) { a.Now = time.Time{} })
		}, false},
		{"the others see another as master", func(x *world) {
			unheard(x)
			both(x, func(a *received) { a.View = promoted(a.View, "r1") })
		}, false},
		{"the others have never heard of it", func(x *world) {
			unheard(x)
			both(x, func(a *received) { a.View = without(a.View, "m1") })
		}, false},
		{"the cluster says that the replica has failed: no more is needed", func(x *world) {
			x.adopt(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Failed }))
			x.state("r1", peer.Down)
			x.never("m1")
			x.never("m2")
			x.never("m3")
		}, true},
		{"one node's suspicion of the replica is not enough", func(x *world) {
			x.adopt(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Suspected }))
		}, false},
		{"it has no replica", func(x *world) {
			x.adopt(without(x.view, "r1"))
			x.never("m2")
			x.never("m3")
		}, true},
		{"it is not a master any more", func(x *world) {
			unheard(x)
			x.adopt(promoted(x.view, "r1"))
		}, false},
		{"another replica of two is well", func(x *world) {
			unheard(x)
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID = "m1" }))
		}, false},
		{"one replica has failed and the other is silent", func(x *world) {
			unheard(x)
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID, n.Health = "m1", view.Failed }))
			x.state("r3", peer.Down)
		}, true},
		{"one that is said to have failed answers: it is back", func(x *world) {
			x.adopt(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Failed }))
		}, false},
		{"one replica has failed and the other is silent, without a majority", func(x *world) {
			unheard(x)
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID, n.Health = "m1", view.Failed }))
			x.never("m2")
			x.never("m3")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				m1 := x.shard("m1")
				c.world(x)
				if got := m1.Suffices(0); got != c.want {
					t.Errorf("got %t", got)
				}
			})
		})
	}
}
