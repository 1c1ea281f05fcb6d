package watch

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// What this instance misses is told apart from what everybody misses.
func TestReach(t *testing.T) {
	sees := func(id string, h view.Health) func(*received) {
		return func(a *received) { a.View = changed(a.View, id, func(n *view.Node) { n.Health = h }) }
	}
	for _, c := range []struct {
		name  string
		world func(*world)
		want  reach
	}{
		{"in peace", func(*world) {}, reach{0, true}},
		{"the way to a master is cut", func(x *world) { x.state("m1", peer.Down) }, reach{5461, true}},
		{"a master is dead", func(x *world) {
			x.state("m1", peer.Down)
			x.answers("m2", 0, sees("m1", view.Failed))
			x.answers("m3", 0, sees("m1", view.Failed))
		}, reach{0, true}},
		{"one says that it is dead, and one does not know yet", func(x *world) {
			x.state("m1", peer.Down)
			x.answers("m2", 0, sees("m1", view.Failed))
		}, reach{0, true}},
		{"it is suspected only", func(x *world) {
			x.state("m1", peer.Down)
			x.answers("m2", 0, sees("m1", view.Suspected))
			x.answers("m3", 0, sees("m1", view.Suspected))
		}, reach{0, true}},
		{"two are dead: no majority of them could say so", func(x *world) {
			x.state("m1", peer.Down)
			x.state("m2", peer.Down)
			x.answers("m3", 0, sees("m1", view.Suspected), sees("m2", view.Suspected))
		}, reach{0, false}},
		{"the way to two masters is cut", func(x *world) {
			x.state("m1", peer.Down)
			x.state("m2", peer.Down)
		}, reach{5461 + 5462, false}},
		{"everything is cut", func(x *world) {
			for _, id := range []string{"m1", "m2", "m3"} {
				x.state(id, peer.Down)
			}
		}, reach{0, false}},
		{"what was said long ago says nothing of now", func(x *world) {
			x.state("m1", peer.Down)
			x.answers("m2", recent+time.Second)
			x.answers("m3", recent+time.Second)
		}, reach{0, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				c.world(x)
				if got := x.w.reach(x.w.Topology()); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		})
	}
}
