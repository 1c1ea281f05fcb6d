package outage

import (
	"slices"
	"time"
)

const (
	// shortest is the shortest gap that counts as an interruption.
	shortest = 200 * time.Millisecond
	// quiet is how long all must be well before an interruption is over.
	quiet = 3 * time.Second
	// felt is how long after a fault its interruption begins at the latest: a node that is stopped in good order first
	// finishes what it does. Later ones have another cause.
	felt = 15 * time.Second
)

// An Interval is a time in which something was wrong.
type Interval struct{ From, To time.Time }

// interrupt adds an interval, and makes one of those that are less than the quiet apart.
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

// Recovered is when the interruption was over that the phase's fault made: nothing failed and every shard answered, for
// three seconds at least. It reports false if there was none.
func (p Phase) Recovered() (time.Time, bool) {
	if len(p.Interruptions) == 0 || p.Interruptions[0].From.After(p.Began.Add(felt)) {
		return time.Time{}, false
	}
	return p.Interruptions[0].To, true
}
