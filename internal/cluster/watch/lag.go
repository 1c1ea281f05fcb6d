package watch

import (
	"math"
	"time"
)

// Acks are the offsets of a master's replication stream that its replicas have acknowledged, by their IDs. A replica of
// which nothing is known is missing.
type Acks map[string]int64

// Lacking returns those that have not acknowledged an offset.
func (a Acks) Lacking(ids []string, offset int64) []string {
	var lacking []string
	for _, id := range ids {
		if has, ok := a[id]; !ok || has < offset {
			lacking = append(lacking, id)
		}
	}
	return lacking
}

// A lag tells how far replicas are behind their master, in time. It does not go by whether each of them had each write as
// soon as somebody asked: nobody waits for a replica that is gone, so under load it would lack the newest write at every
// question, and be gone for good.
type lag struct {
	stream []sample // oldest first, sampleEvery apart
	acks   Acks     // the newest
	heard  time.Time
}

// A sample says that the stream had reached an offset at a moment.
type sample struct {
	offset int64
	at     time.Time
}

const (
	sampleEvery = 10 * time.Millisecond  // between two samples; a lag is understated by as much
	lagLasts    = 250 * time.Millisecond // what a master says of its replicas, about the time since
)

// note records how far a master and its replicas are. The offset is math.MaxInt64 if the master does not tell.
func (l *lag) note(offset int64, acks Acks, now time.Time) {
	if offset == math.MaxInt64 {
		offset = 0
	}
	l.acks, l.heard = acks, now
	if len(l.stream) > 0 && offset < l.stream[0].offset {
		l.stream = nil // the master has begun another stream
	}
	if n := len(l.stream); n == 0 || offset > l.stream[n-1].offset && now.Sub(l.stream[n-1].at) >= sampleEvery {
		l.stream = append(l.stream, sample{offset, now})
	}
	for len(l.stream) > 1 && now.Sub(l.stream[1].at) > ackless {
		l.stream = l.stream[1:] // who lacks the next one has been behind for long enough
	}
}

// missing reports whether the master said lately that a replica is not connected to it.
func (l *lag) missing(id string, now time.Time) bool {
	_, connected := l.acks[id]
	return !connected && !l.heard.IsZero() && now.Sub(l.heard) <= lagLasts
}

// of returns for how long a replica has been behind; zero if it is not, or if the last answer is too old to tell.
func (l *lag) of(id string, now time.Time) time.Duration {
	if now.Sub(l.heard) > lagLasts {
		return 0
	}
	for _, s := range l.stream {
		if has, ok := l.acks[id]; !ok || has < s.offset {
			return now.Sub(s.at)
		}
	}
	return 0
}
