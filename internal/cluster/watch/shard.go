package watch

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// ErrNoMaster means that the slot has no master that can be asked at the moment.
var ErrNoMaster = errors.New("the slot has no healthy master")

// A Shard is a master with its slots and its replicas, as one topology has it. What it is made of never changes; what it is
// asked is answered by what is true at that moment.
type Shard struct {
	*memory
	watch    *Watcher
	Ranges   []view.SlotRange
	Master   *peer.Peer
	Info     view.Node // the master's line in the view
	Replicas []Replica
}

// A Replica is a shard's replica.
type Replica struct {
	*peer.Peer
	Info view.Node
}

// now is the shard as the newest topology has it, if its master is still the same; nil if it has been replaced.
func (s *Shard) now() *Shard {
	if now := s.placed.Load(); now != nil && now.Master == s.Master {
		return now
	}
	return nil
}

// Name tells the shard from others: the lowest slot that it had when it was first seen.
func (s *Shard) Name() string { return s.name }

// Replaced reports whether the shard has another master by now.
func (s *Shard) Replaced() bool { return s.now() == nil }

// Served notes that a write to the shard succeeded.
func (s *Shard) Served() {
	if gap, shown, moved := s.recovered(); gap > 0 {
		s.watch.tellServed(s, gap, shown, moved)
	}
}

// A memory is what is remembered of a shard, whoever of its nodes is master and whichever slots it has.
type memory struct {
	name   string                // see [Shard.Name]
	placed atomic.Pointer[Shard] // as the newest topology has it; nil if that has it nowhere
	writes atomic.Int64          // under way

	mu       sync.Mutex
	moved    time.Time // when its master last changed; zero if it did not since we look; guarded by mu
	troubled time.Time // since when its writes fail or wait; zero if they do not; guarded by mu
	shown    bool      // the trouble was told as an event; guarded by mu
	ackless  time.Time // since when WAIT finds no replica that keeps up; zero if the last one did; guarded by mu
	lastWait time.Time // guarded by mu
}

// Admit takes a write in, unless so many are under way already. Whoever was admitted calls Leave in the end.
func (m *memory) Admit(limit int) bool {
	if m.writes.Add(1) > int64(limit) {
		m.writes.Add(-1)
		return false
	}
	return true
}

// Leave ends what Admit began.
func (m *memory) Leave() { m.writes.Add(-1) }

// Waited notes whether a WAIT found a replica that has everything.
func (m *memory) Waited(acknowledged bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case acknowledged:
		m.ackless = time.Time{}
	case m.ackless.IsZero(), time.Since(m.lastWait) > evidenceLasts:
		m.ackless = time.Now() // one that was long ago says nothing of the time between
	}
	m.lastWait = time.Now()
}

// acklessFor is for how long no replica has kept up.
func (m *memory) acklessFor(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ackless.IsZero() || now.Sub(m.lastWait) > evidenceLasts {
		return 0
	}
	return now.Sub(m.ackless)
}

// Trouble notes that a write could not be served.
func (m *memory) Trouble() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubled.IsZero() {
		m.troubled = time.Now()
	}
}

// stallShown reports, once for each trouble, that it has lasted long enough to be told.
func (m *memory) stallShown(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubled.IsZero() || m.shown || now.Sub(m.troubled) < stallShows {
		return false
	}
	m.shown = true
	return true
}

// recovered notes that a write was served, and returns for how long none was, whether that was told, and whether the
// master has changed since.
func (m *memory) recovered() (gap time.Duration, shown, moved bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubled.IsZero() {
		return 0, false, false
	}
	gap, shown, moved = time.Since(m.troubled), m.shown, m.moved.After(m.troubled)
	m.troubled, m.shown = time.Time{}, false
	return gap, shown, moved
}

func (m *memory) move(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = at
}

func (m *memory) lastMoved() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}
