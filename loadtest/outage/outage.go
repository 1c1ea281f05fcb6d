// Package outage measures how long each shard went without a good answer, and what failed, phase by phase. One phase lies
// before the first fault, and one between each fault and the next.
//
// A gap is the time between two good answers of a shard. In an open loop it covers a stall in full, whether requests fail
// or wait. Without a stall it is a few times the mean time between arrivals at that shard, which is the resolution.
package outage

import (
	"sync"
	"time"

	"github.com/sessiond/sessiond/loadtest/cluster"
	"github.com/sessiond/sessiond/loadtest/load"
)

const (
	slots = 16384
	// longEnough is the gap from which on the schedule is searched for pauses.
	longEnough = 250 * time.Millisecond
)

// A Gap is a time without a good answer. Lasted excludes times in which no requests were due.
type Gap struct {
	From, To time.Time
	Lasted   time.Duration
}

// A Class covers the reads, or the writes, of one phase.
type Class struct {
	Requests, Failed int   // due in the phase
	Longest          []Gap // of each shard
}

// A Phase begins with the load or with a fault.
type Phase struct {
	Name   string
	Began  time.Time
	Reads  Class
	Writes Class
	// Interruptions are the times in which something failed or a shard had an unusual gap, in order.
	Interruptions []Interval
}

func (p *Phase) class(c load.Class) *Class {
	if c == load.Reads {
		return &p.Reads
	}
	return &p.Writes
}

// A Meter gets its results from load.Config.Observe. Its methods may be called concurrently.
type Meter struct {
	shardOf [slots]int
	shards  int
	pause   func(from, to time.Duration) time.Duration

	mu     sync.Mutex
	start  time.Time      // guarded by mu, as is all below
	good   [2][]time.Time // the last good answer, by class and shard
	count  [2][]int       // and how many there were
	phases []Phase
	over   bool
}

// New makes a meter for the shards. Without any, all slots count as one shard. The schedule tells when no requests are due.
func New(shards []cluster.Shard, schedule load.Schedule) *Meter {
	m := &Meter{shards: max(len(shards), 1), pause: func(from, to time.Duration) time.Duration { return pauses(schedule, from, to) }}
	for i, s := range shards {
		for _, r := range s.Ranges {
			for slot := r[0]; slot <= r[1]; slot++ {
				m.shardOf[slot] = i
			}
		}
	}
	return m
}

// pauses returns how long no requests are due.
func pauses(schedule load.Schedule, from, to time.Duration) time.Duration {
	const step = 10 * time.Millisecond
	total := time.Duration(0)
	for at := from; at < to; at += step {
		if schedule(at) <= 0 {
			total += min(step, to-at)
		}
	}
	return total
}

// Begin starts the first phase, before the first request.
func (m *Meter) Begin(name string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start = at
	for c := range m.good {
		m.good[c], m.count[c] = make([]time.Time, m.shards), make([]int, m.shards)
		for s := range m.good[c] {
			m.good[c][s] = at
		}
	}
	m.phase(name, at)
}

// Phase begins the next phase.
func (m *Meter) Phase(name string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase(name, at)
}

func (m *Meter) phase(name string, at time.Time) {
	m.phases = append(m.phases, Phase{Name: name, Began: at,
		Reads: Class{Longest: make([]Gap, m.shards)}, Writes: Class{Longest: make([]Gap, m.shards)}})
}

// Observe records a result.
func (m *Meter) Observe(r load.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.phases) == 0 {
		return
	}
	phase := m.at(r.Intended)
	c := phase.class(r.Op.Class())
	c.Requests++
	if r.Failed {
		c.Failed++
		phase.interrupt(Interval{r.Intended, r.Done})
		return
	}
	if shard := m.shardOf[r.Slot%slots]; !m.over {
		m.close(r.Op.Class(), shard, r.Done)
	}
}

// End closes open gaps at the time when the last request was due. Later answers change no gap.
func (m *Meter) End(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || len(m.phases) == 0 {
		return
	}
	m.over = true
	for c := range m.good {
		for s := range m.good[c] {
			m.close(load.Class(c), s, at)
		}
	}
}

// close ends a gap, and counts it in the phase that holds most of it.
func (m *Meter) close(class load.Class, shard int, at time.Time) {
	last := &m.good[class][shard]
	gap := Gap{From: *last, To: at, Lasted: at.Sub(*last)}
	if gap.Lasted <= 0 {
		return
	}
	*last = at
	if gap.Lasted >= longEnough {
		gap.Lasted -= m.pause(gap.From.Sub(m.start), gap.To.Sub(m.start))
	}
	phase := m.at(gap.From.Add(at.Sub(gap.From) / 2))
	if longest := &phase.class(class).Longest[shard]; gap.Lasted > longest.Lasted {
		*longest = gap
	}
	if phase != &m.phases[0] && gap.Lasted >= m.unusual(class, shard, gap) {
		phase.interrupt(Interval{gap.From, gap.To})
	}
	m.count[class][shard]++
}

// unusual returns how long a gap must be to count as an interruption. Random arrivals leave a gap of fifteen times their mean
// distance once in three million.
func (m *Meter) unusual(class load.Class, shard int, gap Gap) time.Duration {
	peace := m.phases[0].class(class).Longest[shard].Lasted
	mean := gap.From.Sub(m.start) / time.Duration(max(m.count[class][shard], 1))
	return max(shortest, 2*peace, 15*mean)
}

// at returns the phase at a time.
func (m *Meter) at(t time.Time) *Phase {
	i := len(m.phases) - 1
	for i > 0 && t.Before(m.phases[i].Began) {
		i--
	}
	return &m.phases[i]
}

// Phases returns the measurements so far.
func (m *Meter) Phases() []Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Phase, len(m.phases))
	for i, p := range m.phases {
		p.Reads.Longest = append([]Gap(nil), p.Reads.Longest...)
		p.Writes.Longest = append([]Gap(nil), p.Writes.Longest...)
		p.Interruptions = append([]Interval(nil), p.Interruptions...)
		out[i] = p
	}
	return out
}
