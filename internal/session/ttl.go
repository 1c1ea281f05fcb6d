package session

import (
	"fmt"
	"time"
)

// maxTTL bounds what any policy may allow. Deadlines are microseconds in a Lua number, which is exact up to 2^53:
// now plus a century stays below half of that.
const maxTTL = 100 * 365 * 24 * time.Hour

// A TTL is what a caller asks for. Zero means not given: the tenant's default on create, as it is on any later write.
// Both count in whole milliseconds, because Redis expires keys by the millisecond (PEXPIREAT).
type TTL struct {
	Idle time.Duration // how long the session lives without being used
	Max  time.Duration // how long it may live at all, from creation
}

// A TTLError says which TTL was refused and why. A TTL is never cut silently.
type TTLError struct {
	Field string        // "idle_ttl" or "max_ttl"
	Limit time.Duration // the largest value that would have been accepted; 0 if the value is wrong by itself
	why   string
}

func (e *TTLError) Error() string { return e.Field + " " + e.why }

// check refuses what no session of this tenant may have.
func (p Policy) check(t TTL) error {
	for _, f := range []struct {
		field string
		d     time.Duration
	}{{"idle_ttl", t.Idle}, {"max_ttl", t.Max}} {
		switch {
		case f.d < 0:
			return &TTLError{Field: f.field, why: "must be positive"}
		case f.d%time.Millisecond != 0:
			return &TTLError{Field: f.field, why: "must be a whole number of milliseconds"}
		case f.d > p.TTLLimit:
			return &TTLError{Field: f.field, Limit: p.TTLLimit, why: fmt.Sprintf("is above the limit of %s", p.TTLLimit)}
		}
	}
	if t.Idle > 0 && t.Max > 0 && t.Idle > t.Max {
		return &TTLError{Field: "idle_ttl", Limit: t.Max, why: "is above max_ttl"}
	}
	return nil
}

// resolve fills what the caller left open. An idle TTL above the default absolute one raises that, since the caller
// asked for such a session; a default idle TTL above the caller's absolute one is lowered to it.
func (p Policy) resolve(t TTL) (TTL, error) {
	if err := p.check(t); err != nil {
		return TTL{}, err
	}
	switch {
	case t.Max == 0:
		t.Max = p.DefaultMax
		if t.Idle == 0 {
			t.Idle = min(p.DefaultIdle, t.Max)
		}
		t.Max = max(t.Max, t.Idle)
	case t.Idle == 0:
		t.Idle = min(p.DefaultIdle, t.Max)
	}
	return t, nil
}
