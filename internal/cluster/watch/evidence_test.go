package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// judged reports whether r1 is in step after its new answer.
func (x *world) judged(was bool, age time.Duration, changes ...func(*received)) bool {
	u := x.checkup("r1")
	u.inStep = was
	x.answers("r1", age, changes...)
	x.w.judge(x.node("r1"), u)
	return u.inStep
}

func TestJudgeOffsets(t *testing.T) {
	for _, c := range []struct {
		name   string
		was    bool
		offset int64
		world  func(*world)
		want   bool
	}{
		{"it has all", false, 100, func(*world) {}, true},
		{"it has more than its master had then", false, 101, func(*world) {}, true},
		{"it is behind", true, 99, func(*world) {}, false},
		{"the master's newest answer came after it was asked: the one before counts, and it has that", false, 100, func(x *world) {
			x.answers("m1", time.Millisecond, offset(200))
		}, true},
		{"the same, and it has not even that", true, 99, func(x *world) { x.answers("m1", time.Millisecond, offset(200)) }, false},
		{"the master has produced more before it was asked", true, 100, func(x *world) { x.answers("m1", 20*time.Millisecond, offset(200)) }, false},
		{"the master is suspect: behind, the verdict stays", true, 99, func(x *world) { x.state("m1", peer.Suspect) }, true},
		{"the master is suspect: having all, the verdict stays", false, 100, func(x *world) { x.state("m1", peer.Suspect) }, false},
		{"the master is peer.Down, the verdict stays", true, 99, func(x *world) { x.state("m1", peer.Down) }, true},
		{"not comparable, the verdict stays", true, 100, func(x *world) {
			x.answers("m1", time.Millisecond)
			x.answers("m1", time.Millisecond)
		}, true},
		{"not comparable, the verdict stays bad", false, 100, func(x *world) {
			x.answers("m1", time.Millisecond)
			x.answers("m1", time.Millisecond)
		}, false},
		{"the master never answered", false, 100, func(x *world) { x.never("m1") }, false},
		{"not comparable, and it was not well", true, 100, func(x *world) {
			x.never("m1")
			x.state("r1", peer.Suspect)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				x.never("m1")
				x.answers("m1", time.Second)
				c.world(x)
				if got := x.judged(c.was, 10*time.Millisecond, offset(c.offset)); got != c.want {
					t.Errorf("in step: %t", got)
				}
			})
		})
	}
}

// A broken link counts against a replica only once its master has answered a question asked after the break.
func TestJudgeLinks(t *testing.T) {
	inWorld(t, func(x *world) {
		down := func() bool { return x.judged(true, 0, linkDown) }
		master := func(asked time.Duration) {
			x.answers("m1", asked)
			x.w.judge(x.node("m1"), x.checkup("m1"))
		}
		time.Sleep(100 * time.Millisecond)
		if !down() {
			t.Fatal("a broken link alone took it out of step: the master may be dead")
		}
		from := x.checkup("r1").outFrom
		if from != time.Now() {
			t.Errorf("out of touch since %s", from)
		}
		time.Sleep(100 * time.Millisecond)
		if !down() || x.checkup("r1").outFrom != from {
			t.Errorf("the second word moved the beginning to %s", x.checkup("r1").outFrom)
		}
		if master(150 * time.Millisecond); !x.checkup("r1").inStep {
			t.Error("an answer to a question from before the break was held against it")
		}
		if master(50 * time.Millisecond); x.checkup("r1").inStep {
			t.Error("its master lives and goes on without it")
		}
		if x.judged(false, 0, offset(99)) || !x.checkup("r1").outFrom.IsZero() {
			t.Error("its link is up, but it is behind")
		}
		master(20 * time.Millisecond)
		if time.Sleep(time.Millisecond); !x.judged(false, 0) {
			t.Error("it has caught up")
		}
		x.checkup("r2").inStep, x.checkup("r2").outFrom = true, time.Now().Add(-time.Second)
		if master(0); !x.checkup("r2").inStep {
			t.Error("another shard's master was heard in the matter")
		}
	})
}

func TestJudgeOfANodeThatIsNoReplica(t *testing.T) {
	inWorld(t, func(x *world) {
		u := x.checkup("r1")
		u.outFrom = time.Now()
		x.adopt(promoted(x.view, "r1"))
		if x.w.judge(x.node("r1"), u); u.inStep || !u.outFrom.IsZero() {
			t.Errorf("a master stands in for itself: %t, %s", u.inStep, u.outFrom)
		}
	})
}

func TestJudgeSilence(t *testing.T) {
	for _, c := range []struct {
		master peer.State
		stays  bool
	}{{peer.Well, false}, {peer.Suspect, true}, {peer.Down, true}} {
		inWorld(t, func(x *world) {
			x.state("m1", c.master)
			x.state("r1", peer.Down)
			if x.w.judgeSilence(x.node("r1")); x.checkup("r1").inStep != c.stays {
				t.Errorf("with its master %s: in step is %t", c.master, x.checkup("r1").inStep)
			}
			if x.w.judgeSilence(x.node("m2")); !x.checkup("r2").inStep {
				t.Error("a silent master was taken for a replica")
			}
		})
	}
}

// A replica's answer that there is no such key is proof once every other master, asked since, neither owns nor imports the
// slot.
func TestAbsent(t *testing.T) {
	const slot = 17 // of m1
	coming := func(a *received) { a.View.Coming = []int{slot} }
	owning := func(a *received) {
		a.View = changed(a.View, "m3", func(n *view.Node) { n.Ranges = append(n.Ranges, view.SlotRange{First: slot, Last: slot}) })
	}
	for _, c := range []struct {
		name  string
		world func(*world)
		want  bool
	}{
		{"all were asked since", func(*world) {}, true},
		{"one was asked before", func(x *world) { x.answers("m2", time.Second) }, false},
		{"one never answered", func(x *world) { x.never("m2") }, false},
		{"its master's silence does not matter", func(x *world) { x.never("m1") }, true},
		{"a replica's neither", func(x *world) { x.never("r2") }, true},
		{"another is getting the slot", func(x *world) { x.answers("m2", 0, coming) }, false},
		{"another has got it", func(x *world) { x.answers("m3", 0, owning) }, false},
		{"a dead master without slots cannot", func(x *world) {
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.Master, n.Health = true, view.Failed }))
			x.never("r3")
		}, true},
		{"a living one can", func(x *world) {
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.Master = true }))
			x.never("r3")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				at := time.Now().Add(-100 * time.Millisecond)
				for _, n := range x.view.Nodes {
					x.answers(n.ID, 0)
				}
				c.world(x)
				if got := x.shard("m1").Absent(slot, at); got != c.want {
					t.Errorf("got %t", got)
				}
			})
		})
	}
}
