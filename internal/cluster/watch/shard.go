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

// A Shard is a master with its slots and its replicas in one topology. Its fields never change. Its methods answer by
// what is true at the time of the call.
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

// now returns the shard of the newest topology if it still has the same master, and nil if its master has been replaced.
func (s *Shard) now() *Shard {
	if now := s.placed.Load(); now != nil && now.Master == s.Master {
		return now
	}
	return nil
}

// Name identifies the shard: it is the lowest slot that the shard had when it was first seen.
func (s *Shard) Name() string { return s.name }

// Replaced reports whether the shard's master has been replaced.
func (s *Shard) Replaced() bool { return s.now() == nil }

// Waited records how far the master and its replicas were after a WAIT. What a former master says counts for nothing.
func (s *Shard) Waited(offset int64, acks Acks) {
	if s.Replaced() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag.note(offset, acks, time.Now())
}

// Served records that a write to the shard has succeeded.
func (s *Shard) Served() {
	if gap, shown, moved := s.recovered(); gap > 0 {
		s.watch.tellServed(s, gap, shown, moved)
	}
}

// A memory is what the watcher remembers of a shard, whichever of its nodes is master and whichever slots it has.
type memory struct {
	name   string                // see [Shard.Name]
	placed atomic.Pointer[Shard] // in the newest topology; nil if the shard is gone
	writes atomic.Int64          // in flight
	wanted atomic.Int64          // when a read last wanted a lease, in Unix nanoseconds

	mu       sync.Mutex
	former   string         // ID of the master before; empty if we have seen no change; guarded by mu
	moved    time.Time      // when its master last changed; zero if we have seen no change; guarded by mu
	admitted map[string]int // writes in flight, by owner; guarded by mu
	troubled time.Time      // since when its writes have failed or waited; zero if they are served; guarded by mu
	shown    bool           // the trouble has been told as an event; guarded by mu
	lag      lag            // of its replicas; guarded by mu
}

// Admit admits a write unless limit writes of the same owner are in flight. After Admit has returned true, the caller must call
// Leave.
func (m *memory) Admit(owner string, limit int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.admitted == nil {
		m.admitted = map[string]int{}
	}
	if m.admitted[owner] >= limit {
		return false
	}
	m.admitted[owner]++
	m.writes.Add(1)
	return true
}

// Leave ends a write that was admitted.
func (m *memory) Leave(owner string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitted[owner]--
	m.writes.Add(-1)
}

// lagOf returns for how long a replica has been behind; zero if it is not, or if no recent WAIT tells.
func (m *memory) lagOf(id string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lag.of(id, now)
}

// missing reports whether the master said lately that a replica is not connected to it.
func (m *memory) missing(id string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lag.missing(id, now)
}

// Trouble records that a write could not be served.
func (m *memory) Trouble() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubled.IsZero() {
		m.troubled = time.Now()
	}
}

// stallShown reports, once for each trouble, that it has lasted for stallShows.
func (m *memory) stallShown(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubled.IsZero() || m.shown || now.Sub(m.troubled) < stallShows {
		return false
	}
	m.shown = true
	return true
}

// recovered ends the trouble, since a write was served. It returns how long the trouble lasted, whether it was told, and
// whether the master changed during it. gap is zero if there was no trouble.
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

// move records that the shard has another master than the one with this ID.
func (m *memory) move(at time.Time, from string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved, m.former = at, from
	m.lag = lag{} // it was of another master
}

func (m *memory) lastMoved() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}

// formerly returns the ID of the master before; empty if there was none.
func (m *memory) formerly() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.former
}
