package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// How often a node is probed: seldom while all is well, often when something may be wrong, and soon when a read waits for
// its answer about a moment that has just passed.
func TestPaceOfQuestions(t *testing.T) {
	for _, c := range []struct {
		name  string
		world func(*world)
		node  string
		every time.Duration
	}{
		{"all is well", func(*world) {}, "m1", peaceful},
		{"something failed", func(x *world) { x.w.Hasten() }, "m1", hastened},
		{"a node is not well", func(x *world) {
			x.state("m1", peer.Suspect)
			x.w.pace.hastenUntilSettled()
		}, "m2", hastened},
		{"its master is not well", func(x *world) {
			x.state("m1", peer.Suspect)
			x.w.pace.hastenUntilSettled()
		}, "r1", heartbeat},
		{"a read waits for its word", func(x *world) { x.w.HastenMasters(time.Now()) }, "m2", awaited},
		{"a read waits for masters' word, and it is none", func(x *world) { x.w.HastenMasters(time.Now()) }, "r2", peaceful},
		{"a read waited for its word of earlier", func(x *world) { x.w.HastenMasters(time.Now().Add(-time.Minute)) }, "m2", peaceful},
	} {
		inWorld(t, func(x *world) {
			n := x.node(c.node)
			x.checkup(c.node).asked = time.Now().Add(-time.Nanosecond)
			c.world(x)
			began := x.checkup(c.node).asked
			for !x.w.take(n, time.Now()) {
				time.Sleep(time.Millisecond)
			}
			if got := x.checkup(c.node).asked.Sub(began).Truncate(time.Millisecond); got != c.every {
				t.Errorf("%s: asked again after %s, want %s", c.name, got, c.every)
			}
			if x.w.take(n, time.Now().Add(time.Hour)) {
				t.Errorf("%s: asked twice at a time", c.name)
			}
		})
	}
}
