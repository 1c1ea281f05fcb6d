package watch

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

const (
	limit = 500 * time.Millisecond
	votes = 8 * time.Second // at the world's node timeout
)

func TestEvidenceAgainst(t *testing.T) {
	all := evidence{wasWell: true, silence: limit, replica: true, furthest: true, majority: true, votes: votes, quiet: votes, watched: true}
	for _, c := range []struct {
		name          string
		change        func(*evidence)
		plain, forced bool // may be asked
	}{
		{"nothing is missing", func(*evidence) {}, true, true},
		{"never well", func(e *evidence) { e.wasWell = false }, false, false},
		{"not silent for long enough", func(e *evidence) { e.silence-- }, false, false},
		{"the replica is not known to be in step", func(e *evidence) { e.replica = false }, false, false},
		{"no majority answers", func(e *evidence) { e.majority = false }, false, false},
		{"moved a moment ago", func(e *evidence) { e.quiet-- }, false, true}, // by the plain request itself
		{"not watched for long enough", func(e *evidence) { e.watched = false }, false, false},
		{"another replica is ahead", func(e *evidence) { e.furthest = false }, false, false},
	} {
		e := all
		c.change(&e)
		if why := e.against(limit); (why == "") != c.plain {
			t.Errorf("%s: against a plain request: %q", c.name, why)
		}
		if why := e.againstForce(limit); (why == "") != c.forced {
			t.Errorf("%s: against a forced one: %q", c.name, why)
		}
	}
}

// What the assistant gathers, condition by condition.
func TestGather(t *testing.T) {
	all := evidence{wasWell: true, silence: limit, replica: true, furthest: true, majority: true, votes: votes, quiet: votes, watched: true}
	for _, c := range []struct {
		name  string
		world func(*world, *assistant)
		want  func(*evidence)
	}{
		{"nothing is missing", func(*world, *assistant) {}, func(*evidence) {}},
		{"never well", func(x *world, _ *assistant) { x.never("m1") }, func(e *evidence) { e.wasWell, e.votes = false, time.Minute }},
		{"the replica is behind", func(x *world, _ *assistant) { x.checkup("r1").inStep = false }, func(e *evidence) { e.replica, e.furthest = false, false }},
		{"the replica is suspect", func(x *world, _ *assistant) { x.state("r1", peer.Suspect) }, func(e *evidence) { e.replica, e.furthest = false, false }},
		{"one other master does not answer", func(x *world, _ *assistant) { x.never("m2") }, func(e *evidence) { e.majority = false }},
		{"one other's answer is old", func(x *world, _ *assistant) {
			x.never("m2")
			x.answers("m2", answerLasts+1, pong("m1", time.Second))
		}, func(e *evidence) { e.majority = false }},
		{"a second replica is behind", func(x *world, _ *assistant) { x.second(offset(99)) }, func(*evidence) {}},
		{"a second replica is as far", func(x *world, _ *assistant) { x.second(offset(100)) }, func(*evidence) {}},
		{"a second replica is ahead", func(x *world, _ *assistant) { x.second(offset(101)) }, func(e *evidence) { e.furthest = false }},
		{"a second replica has not answered lately", func(x *world, _ *assistant) {
			x.second()
			x.never("r3")
			x.answers("r3", answerLasts+1)
		}, func(e *evidence) { e.furthest = false }},
		{"a second replica has failed", func(x *world, _ *assistant) {
			x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID, n.Health = "m1", view.Failed }))
			x.never("r3")
		}, func(*evidence) {}},
		{"the shard moved", func(x *world, _ *assistant) {
			x.shard("m1").move(time.Now(), "m0")
			x.shard("m1").moved = time.Now().Add(-5 * time.Second)
		}, func(e *evidence) { e.quiet = 5 * time.Second }},
		{"it was asked", func(x *world, a *assistant) { a.last["0"] = time.Now().Add(-7 * time.Second) }, func(e *evidence) { e.quiet = 7 * time.Second }},
		{"votes of an election from before the watcher started still count", func(x *world, _ *assistant) {
			x.checkup("m1").last.NodeTimeout = 2 * time.Second
			x.w.since = time.Now().Add(-8*time.Second + 1)
		}, func(e *evidence) { e.watched = false }},
		{"they have just expired", func(x *world, _ *assistant) {
			x.checkup("m1").last.NodeTimeout = 2 * time.Second
			x.w.since = time.Now().Add(-8 * time.Second)
		}, func(*evidence) {}},
		{"another shard was asked", func(x *world, a *assistant) { a.last["5461"] = time.Now() }, func(*evidence) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				a := newAssistant(x.w, limit)
				x.silent("m1", limit)
				c.world(x, a)
				want := all
				c.want(&want)
				got, to := a.gather(x.shard("m1"))
				got.silence = got.silence.Round(time.Millisecond)
				got.quiet = min(got.quiet, votes)
				if got != want || got.replica != (to.Peer == x.node("r1")) {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		})
	}
}

// second makes r3 a second replica of m1, which is not in step.
func (x *world) second(changes ...func(*received)) {
	x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID = "m1" }))
	x.checkup("r3").inStep = false
	x.answers("r3", 0, changes...)
}

// The last answer of the silent master itself does not count towards the majority.
func TestTheSilentMasterHasNoVote(t *testing.T) {
	inWorld(t, func(x *world) {
		a := newAssistant(x.w, limit)
		x.silent("m1", limit)
		x.never("m3")
		if e, _ := a.gather(x.shard("m1")); e.majority {
			t.Error("one other master and the silent one are no majority")
		}
	})
}

// Two beats do not ask twice, and no replica of a healthy shard is asked.
func TestConsider(t *testing.T) {
	inWorld(t, func(x *world) {
		a := newAssistant(x.w, limit)
		var running sync.WaitGroup
		a.consider(x.t.Context(), &running)
		if len(a.busy) != 0 {
			t.Fatalf("asking about %v while all is well", a.busy)
		}
		x.silent("m1", limit)
		if !a.begin(x.shard("m1")) || a.begin(x.shard("m1")) || !a.begin(x.shard("m2")) {
			t.Error("a shard is asked by one at a time, and others besides")
		}
		a.end(x.shard("m2"))
		a.consider(x.t.Context(), &running)
		running.Wait()
		if len(x.types()) != 0 {
			t.Errorf("told %v while the shard is being asked", x.types())
		}
		a.end(x.shard("m1"))
		// The master has answered by the second check.
		a.consider(x.t.Context(), &running)
		x.silent("m1", 0)
		running.Wait()
		if len(x.types()) != 0 || len(a.busy) != 0 {
			t.Errorf("told %v, busy %v", x.types(), a.busy)
		}
	})
}

// Votes may count from when the watcher began to watch, or from when the shard last moved, whichever is later.
func TestVotesCount(t *testing.T) {
	inWorld(t, func(x *world) {
		expect := func(name, replica string, want time.Duration) {
			t.Helper()
			if got, known := x.w.VotesCount(x.node(replica)); max(got, 0) != want || !known {
				t.Errorf("%s: got %s, want %s; known %t", name, got, want, known)
			}
		}
		expect("a minute after it began", "r1", 0)
		x.shard("m1").move(time.Now(), "m0")
		time.Sleep(3 * time.Second)
		expect("3 s after a promotion", "r1", 5*time.Second)
		expect("in another shard", "r2", 0)
		x.w.since = time.Now().Add(-time.Second)
		expect("a second after it began", "r1", 7*time.Second)
		expect("in another shard then", "r2", 7*time.Second)
		x.checkup("r2").last.NodeTimeout = 15 * time.Second
		expect("with Redis' default of a node timeout", "r2", 59*time.Second)
		x.checkup("r2").last.NodeTimeout = 0
		expect("with one that is not known", "r2", 59*time.Second)
		x.never("r1")
		if _, known := x.w.VotesCount(x.node("r1")); known {
			t.Error("the node timeout of a replica that never answered is known")
		}
	})
}

// The guards of promotions do not depend on events.
func TestVotesHoldWithoutEvents(t *testing.T) {
	inWorld(t, func(x *world) {
		x.w.events = nil
		a := newAssistant(x.w, limit)
		now := promoted(x.view, "r1")
		for _, id := range []string{"m1", "m2", "m3"} {
			x.answers(id, 0, func(a *received) { a.View = now })
		}
		x.w.adopt()
		if x.w.Topology().At(0).Master != x.node("r1") {
			t.Fatal("the promotion was not adopted")
		}
		time.Sleep(time.Second)
		if got, _ := x.w.VotesCount(x.node("m1")); got != 7*time.Second {
			t.Errorf("votes count for another %s", got)
		}
		if e, _ := a.gather(x.w.Topology().At(0)); e.quiet != time.Second {
			t.Errorf("the assistant takes the shard for quiet for %s", e.quiet)
		}
	})
}

func TestReplaced(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1")
		if s.Replaced() {
			t.Error("nothing has happened")
		}
		if x.adopt(x.view); s.Replaced() {
			t.Error("another topology has the same master")
		}
		if x.adopt(promoted(x.view, "r1")); !s.Replaced() {
			t.Error("its replica has taken over")
		}
		s = x.shard("m2")
		if x.adopt(without(x.view, "m2")); !s.Replaced() {
			t.Error("its slots are nowhere")
		}
	})
}

// A node's new state is told, and makes the watcher probe often until the cluster has settled.
func TestAssess(t *testing.T) {
	inWorld(t, func(x *world) {
		expect := func(name string, told ...EventType) {
			t.Helper()
			before := len(x.types())
			x.w.assess(x.node("m1"))
			if !slices.Equal(x.types()[before:], told) {
				t.Errorf("%s: told %v", name, x.types()[before:])
			}
		}
		expect("all is well")
		x.silent("m1", peer.SuspectAfter)
		expect("silent", NodeSuspect)
		expect("still")
		if got := x.w.every(x.w.Topology(), x.node("m2"), time.Now(), time.Now()); got != hastened {
			t.Errorf("nodes are asked every %s", got)
		}
		x.silent("m1", peer.DownAfter)
		expect("silent for long", NodeDown)
		x.silent("m1", 0)
		expect("it answers", NodeUp)
	})
}

// A node that answers again as it did before changes nothing, and the instance is ready all the same.
func TestReadyAfterAPause(t *testing.T) {
	inWorld(t, func(x *world) {
		time.Sleep(time.Minute) // nothing has answered for long
		ready := make(chan error)
		go func() {
			_, err := x.w.Ready(x.t.Context())
			ready <- err
		}()
		time.Sleep(time.Second)
		x.w.mu.Lock()
		x.answers("m1", 0)
		x.w.mu.Unlock()
		if err := <-ready; err != nil {
			t.Error(err)
		}
	})
}
