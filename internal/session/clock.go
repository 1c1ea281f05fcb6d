package session

import (
	"sync"
	"time"
)

// clockLife is how long a measurement of Redis' clock is good for. In this time, two clocks that are both kept by NTP drift
// apart by less than 60 ms (500 ppm each).
const clockLife = time.Minute

// A redisClock estimates what Redis' clock shows, from the times in the answers to writes: each is what Redis' clock showed
// when it executed the write, a little before the answer came. The time of day of this instance plays no part, so it may be
// wrong by hours; only the time that passes on it does, which is monotonic.
//
// The nodes of the cluster must agree on the time among themselves, because the expiry of a key is a time of day to both
// master and replica (PXAT). So one estimate serves for all of them.
type redisClock struct {
	local func() time.Time
	start time.Time // by local

	mu       sync.Mutex
	known    bool          // guarded by mu
	atStart  time.Time     // what Redis' clock showed at start, at the least; guarded by mu
	measured time.Duration // when, after start; guarded by mu
}

func newRedisClock(local func() time.Time) *redisClock {
	return &redisClock{local: local, start: local()}
}

// saw takes the time of a write whose answer has just come. The estimate lags by as long as the answer took, so that of several
// measurements the one that lags least is kept.
func (c *redisClock) saw(t time.Time) {
	passed := c.local().Sub(c.start)
	atStart := t.Add(-passed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || !atStart.Before(c.atStart) || passed-c.measured > clockLife {
		c.known, c.atStart, c.measured = true, atStart, passed
	}
}

// since is how long ago t is by Redis' clock. It returns false if the clock was not measured lately.
func (c *redisClock) since(t time.Time) (time.Duration, bool) {
	passed := c.local().Sub(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atStart.Add(passed).Sub(t), c.known && passed-c.measured <= clockLife
}
