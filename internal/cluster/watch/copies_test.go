package watch

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

func TestNeeded(t *testing.T) {
	second := func(v view.View) view.View {
		return changed(v, "r3", func(n *view.Node) { n.MasterID = "m1" })
	}
	for _, c := range []struct {
		name  string
		world func(*world)
		of    string
		want  []string
		known bool
	}{
		{"one replica", func(*world) {}, "m1", []string{"r1"}, true},
		{"two", func(x *world) { x.adopt(second(x.view)) }, "m1", []string{"r1", "r3"}, true},
		{"one that has failed counts: somebody may have a lease on it", func(x *world) {
			x.adopt(changed(x.view, "r1", func(n *view.Node) { n.Health = view.Failed }))
			x.state("r1", peer.Down)
		}, "m1", []string{"r1"}, true},
		{"none, but the master itself lists one", func(x *world) { x.adopt(without(x.view, "r1")) }, "m1", []string{"r1"}, true},
		{"none", func(x *world) {
			x.adopt(without(x.view, "r1"))
			x.answers("m1", 0, func(a *received) { a.View = without(a.View, "r1") })
		}, "m1", nil, true},
		{"the master's own list is old", func(x *world) {
			x.never("m1")
			x.answers("m1", ownWordLasts)
		}, "m1", []string{"r1"}, false},
		{"one still follows the former master", func(x *world) {
			x.adopt(second(x.view))
			x.adopt(changed(promoted(second(x.view), "r1"), "m1", func(n *view.Node) { n.Master, n.MasterID = true, "" }))
		}, "r1", []string{"r3"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				c.world(x)
				got, known := x.w.Topology().MasteredBy(x.node(c.of)).Needed()
				if !slices.Equal(got, c.want) || known != c.known {
					t.Errorf("got %v, known %t", got, known)
				}
			})
		})
	}
}

func TestLacking(t *testing.T) {
	const r1, r3, stranger = "10.0.0.4:6379", "10.0.0.6:6379", "10.0.0.99:6379"
	for _, c := range []struct {
		name      string
		connected map[string]int64
		want      []string
	}{
		{"both have it", map[string]int64{r1: 100, r3: 101}, nil},
		{"one is behind", map[string]int64{r1: 100, r3: 99}, []string{"r3"}},
		{"one is not connected", map[string]int64{r1: 100}, []string{"r3"}},
		{"none is", nil, []string{"r1", "r3"}},
		{"a stranger has it in the place of one: nobody counts heads", map[string]int64{r1: 100, stranger: 100}, []string{"r3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID = "m1" }))
				needed := []string{"r1", "r3"}
				if got := x.shard("m1").Acknowledged(t.Context(), needed, c.connected).Lacking(needed, 100); !slices.Equal(got, c.want) {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

// ackless makes r1 acknowledge nothing for a duration, the last time just now, while the stream goes on. The others keep up.
func (x *world) ackless(d time.Duration) {
	for end := time.Now().Add(d); ; time.Sleep(min(50*time.Millisecond, time.Until(end))) {
		x.produces("r3")
		if !time.Now().Before(end) {
			return
		}
	}
}

// produces lets the master write something, which some replicas acknowledge.
func (x *world) produces(acknowledged ...string) {
	x.offset += 100
	acks := Acks{}
	for _, id := range acknowledged {
		acks[id] = x.offset
	}
	x.shard("m1").Waited(x.offset, acks)
}

func TestGone(t *testing.T) {
	for _, c := range []struct {
		name  string
		world func(*world)
		want  bool
	}{
		{"no WAIT was in vain", func(*world) {}, false},
		{"in vain for long", func(x *world) { x.ackless(ackless) }, true},
		{"not for long enough: it answers, and may only be slow", func(x *world) { x.ackless(ackless - 1) }, false},
		{"it does not answer either", func(x *world) {
			x.silent("r1", goneAfter)
			x.ackless(goneAfter)
		}, true},
		{"it does not answer, and its master, just promoted, has no connection to it", func(x *world) {
			x.silent("r1", goneAfter)
			x.ackless(0)
		}, true},
		{"it answers, but has no link to its master yet, which was just promoted", func(x *world) {
			x.checkup("r1").outFrom = time.Now()
			x.ackless(0)
		}, false},
		{"the same, said too long ago", func(x *world) {
			x.silent("r1", goneAfter)
			x.ackless(0)
			time.Sleep(lagLasts + 1)
		}, false},
		{"it does not answer us, but its master, for a while", func(x *world) {
			x.silent("r1", goneAfter)
			x.shard("m1").Waited(100, Acks{"r1": 0})
			time.Sleep(goneAfter - 1)
			x.shard("m1").Waited(200, Acks{"r1": 0})
		}, false},
		{"it has no link", func(x *world) {
			x.checkup("r1").outFrom = time.Now()
			x.ackless(goneAfter)
		}, true},
		{"the last WAIT found it", func(x *world) {
			x.ackless(ackless)
			x.produces("r1")
		}, false},
		{"it has what was there an hour ago", func(x *world) {
			x.ackless(0)
			time.Sleep(time.Hour)
			x.shard("m1").Waited(x.offset+1, Acks{"r1": x.offset})
		}, false},
		{"it lacks what was there an hour ago", func(x *world) {
			x.silent("r1", goneAfter)
			x.ackless(0)
			time.Sleep(time.Hour)
			x.ackless(0)
		}, true},
		{"it lacks the newest at each question, and acknowledges once a second", func(x *world) {
			x.ackless(ackless)
			for range 100 {
				had := x.offset
				x.ackless(time.Second)
				x.shard("m1").Waited(x.offset, Acks{"r1": had})
			}
		}, false},
		{"it is always as far behind", func(x *world) {
			x.ackless(ackless)
			for range 100 {
				had := x.offset - 100*int64(2*ackless/(50*time.Millisecond))
				x.produces()
				x.shard("m1").Waited(x.offset, Acks{"r1": had})
				time.Sleep(50 * time.Millisecond)
			}
		}, true},
		{"the master's stream is another one", func(x *world) {
			x.ackless(ackless)
			x.shard("m1").Waited(1, Acks{"r1": 1})
		}, false},
		{"the master does not tell", func(x *world) {
			for range 100 {
				x.shard("m1").Waited(math.MaxInt64, nil)
				time.Sleep(50 * time.Millisecond)
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				c.world(x)
				if got := x.shard("m1").Gone([]string{"r1"}); got != c.want {
					t.Errorf("got %t", got)
				}
			})
		})
	}
}

// A replica that keeps up is waited for, whatever became of the other.
func TestAwaited(t *testing.T) {
	inWorld(t, func(x *world) {
		x.adopt(changed(x.view, "r3", func(n *view.Node) { n.MasterID = "m1" }))
		s := x.shard("m1")
		if got := s.Awaited(); got != 2 || s.Alone() {
			t.Errorf("%d of two, or alone", got)
		}
		x.state("r1", peer.Down)
		x.ackless(goneAfter)
		if got := s.Awaited(); got != 1 || s.Alone() {
			t.Errorf("%d, with one gone; or alone", got)
		}
		for range 11 {
			time.Sleep(lagLasts / 2)
			x.produces()
		}
		x.answers("m1", 0)
		if got := s.Awaited(); got != 0 || !s.Alone() {
			t.Errorf("%d, with both gone; or not alone", got)
		}
	})
}

// What a former master's WAIT found says nothing of the next one, and nothing is marked for it.
func TestFormerMasterHasNoSay(t *testing.T) {
	inWorld(t, func(x *world) {
		former := x.shard("m1")
		x.adopt(promoted(x.view, "r1"))
		former.Waited(100, nil)
		time.Sleep(ackless)
		former.Waited(100, nil)
		if got := x.shard("r1").lagOf("r1", time.Now()); got != 0 {
			t.Errorf("the new master has waited in vain for %s", got)
		}
		if err := former.Mark(t.Context(), []string{"r1"}); err == nil {
			t.Error("a mark was made for a former master")
		}
	})
}
