package outage

import (
	"slices"
	"time"
)

const (
	// shortest is the shortest gap that counts as an interruption.
	shortest = 200 * time.Millisecond
	// quiet is how long nothing may go wrong before an interruption is over.
	quiet = 3 * time.Second
	// felt is how long after a fault its interruption may begin. A node that is stopped gracefully finishes its work
	// first. Later interruptions have another cause.
	felt = 15 * time.Second
)

// An Interval is a time in which something was wrong.
type Interval struct{ From, To time.Time }

// interrupt adds an interval, and merges intervals less than the quiet time apart.
func (p *Phase) interrupt(i Interval) {
	at := len(p.Interruptions)
	for at > 0 && p.Interruptions[at-1].To.Add(quiet).After(i.From) {
		at--
	}
	end := at
	for end < len(p.Interruptions) && p.Interruptions[end].From.Before(i.To.Add(quiet)) {
		old := p.Interruptions[end]
		if old.From.Before(i.From) {
			i.From = old.From
		}
		if old.To.After(i.To) {
			i.To = old.To
		}
		end++
	}
	p.Interruptions = slices.Replace(p.Interruptions, at, end, i)
}

// Recovered returns when the interruption by the phase's fault was over: from then on nothing failed, and every shard
// answered, for at least three seconds. It reports false if there was no interruption.
func (p Phase) Recovered() (time.Time, bool) {
	if len(p.Interruptions) == 0 || p.Interruptions[0].From.After(p.Began.Add(felt)) {
		return time.Time{}, false
	}
	return p.Interruptions[0].To, true
}
