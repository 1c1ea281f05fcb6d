package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
)

func TestStandIn(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1")
		if _, ok := s.StandIn(); ok || !s.HasCandidate() {
			t.Error("a replica stands in without a lease, or could never")
		}
		x.w.council.Stage("r1", rights.Evidence{Asked: time.Now(), Offset: 70})
		if got, ok := s.StandIn(); !ok || got.Peer != x.node("r1") || got.Shows.Offset != 70 {
			t.Errorf("got %+v, %t", got, ok)
		}
		for _, state := range []peer.State{peer.Suspect, peer.Down} {
			x.state("r1", state)
			if _, ok := s.StandIn(); ok {
				t.Errorf("a replica that is %s stands in", state)
			}
		}
		x.state("r1", peer.Well)
		x.checkup("r1").inStep = false
		if _, ok := s.StandIn(); ok {
			t.Error("a replica that is behind stands in")
		}
		x.shows("r1", time.Now())
		time.Sleep(300 * time.Millisecond)
		if _, ok := s.StandIn(); ok {
			t.Error("a replica stands in although the lease has ended")
		}
	})
}

// A replica may be leased once its master has listed it for so long that everybody counts it.
func TestCandidateMustBeListedForLong(t *testing.T) {
	inWorld(t, func(x *world) {
		s, u := x.shard("m1"), x.checkup("r1")
		u.shows = showing{}
		began := time.Now()
		for !s.HasCandidate() {
			x.answers("m1", 0)
			time.Sleep(100 * time.Millisecond)
			x.answers("r1", 0)
			x.w.judge(x.node("r1"), u)
			if time.Since(began) > time.Minute {
				t.Fatal("it never is")
			}
		}
		if got := time.Since(began); got < listedFor {
			t.Errorf("after %s", got)
		}
	})
}

// What makes an answer of a replica evidence.
func TestShowing(t *testing.T) {
	for _, c := range []struct {
		name    string
		master  func(*received)
		replica func(*received)
		want    bool
	}{
		{"it has everything", offset(100), offset(100), true},
		{"the master does not list it as its own", func(a *received) { a.View = without(a.View, "r1") }, offset(100), false},
		{"it is of another stream", func(a *received) { a.Replication.Stream = "b" }, offset(100), false},
		{"the master calls itself a replica", func(a *received) { a.View = promoted(a.View, "r1") }, offset(100), false},
		{"it is behind: the evidence before stays", offset(101), offset(100), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				before := x.checkup("r1").shows
				x.answers("m1", 10*time.Millisecond, c.master)
				x.answers("r1", 0, c.replica)
				x.w.judge(x.node("r1"), x.checkup("r1"))
				got := x.checkup("r1").shows
				if !got.Asked.IsZero() != c.want {
					t.Errorf("got %+v, before %+v", got, before)
				}
			})
		})
	}
}

// A replica's past does not count after it has restarted, or when it follows another master.
func TestEvidenceEndsWithTheProcess(t *testing.T) {
	inWorld(t, func(x *world) {
		a := x.checkup("r1").last.Answer
		a.Asked, a.RunID = time.Now().Add(time.Millisecond), "another"
		x.checkup("r1").last.RunID = "one"
		x.answers("m1", time.Minute) // not comparable
		x.w.record(x.node("r1"), a, nil)
		if x.shard("m1").HasCandidate() {
			t.Error("a replica that has restarted may be leased")
		}
	})
}

// While a lease is refused because others are served by the master, waiting here does not help.
func TestElsewhere(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1")
		if x.state("m1", peer.Down); s.Elsewhere() {
			t.Error("nobody has refused a lease")
		}
		x.w.council.StageRefusal("r1", rights.Marked)
		if !s.Elsewhere() {
			t.Error("others write to the master")
		}
		x.w.council.StageRefusal("r1", rights.Silent)
		if s.Elsewhere() {
			t.Error("too few masters answer: nobody is served elsewhere")
		}
		x.w.council.StageRefusal("r1", rights.Wanted)
		if x.state("m1", peer.Suspect); s.Elsewhere() {
			t.Error("the master may only be slow")
		}
	})
}

func TestStale(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1")
		x.shows("r1", time.Now().Add(-3*time.Second))
		if p, age, ok := s.Stale(); !ok || p != x.node("r1") || age != 3*time.Second {
			t.Errorf("got %v, %s, %t", p, age, ok)
		}
		if x.state("r1", peer.Down); s.StaleOK() {
			t.Error("a replica that is down answers")
		}
	})
}

// StaleOK reports whether a replica may give a stale answer.
func (s *Shard) StaleOK() bool { _, _, ok := s.Stale(); return ok }
