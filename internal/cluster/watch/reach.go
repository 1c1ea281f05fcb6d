package watch

import (
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Whether slots that have no healthy master here have one elsewhere. If a master is dead, every instance misses the same
// slots. A load balancer that removed all instances would turn the outage of a shard into one of the service. If only the
// link from this instance is cut, another instance serves more. The masters tell the two cases apart: after the node timeout
// they mark a dead master failed, but not one that only this instance cannot reach.

// A reach compares what this instance reaches with what the masters say of each other.
type reach struct {
	missed   int  // slots whose master is down for this instance, but not for the masters that it reaches
	majority bool // it reaches a majority of the masters
}

func (w *Watcher) reach(t *Topology) reach {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	var r reach
	answering := 0
	for _, s := range t.Shards {
		if w.speaks(s.Master, now) {
			answering++
		} else if w.livesElsewhere(t, s, now) {
			r.missed += s.Info.Slots
		}
	}
	r.majority = answering > len(t.Shards)/2
	return r
}

// speaks reports whether a node is not down and has answered recently. It is called with mu held.
func (w *Watcher) speaks(p *peer.Peer, now time.Time) bool {
	last := w.checkupOf(p).last.at
	return p.State() != peer.Down && !last.IsZero() && now.Sub(last) < recent
}

// livesElsewhere reports whether another master that speaks sees a shard's master healthy, and none says that it has failed.
// It is called with mu held.
func (w *Watcher) livesElsewhere(t *Topology, s *Shard, now time.Time) bool {
	lives := false
	for _, m := range t.Shards {
		if m.Master == s.Master || !w.speaks(m.Master, now) {
			continue
		}
		switch n, _ := w.checkupOf(m.Master).last.View.Node(s.Info.ID); n.Health {
		case view.Healthy:
			lives = true
		case view.Failed:
			return false
		}
	}
	return lives
}
