package session

import (
	"fmt"
	"time"
)

// maxTTL bounds what any policy may allow. Deadlines are microseconds in a Lua number, which is exact up to 2^53. A century
// from now is below half of that.
const maxTTL = 100 * 365 * 24 * time.Hour

// A TTL is what a caller asks for. Zero means not given: a create then takes the tenant's default, and a later write
// leaves the session's own. Both are whole milliseconds, because Redis expires keys by the millisecond (PEXPIREAT).
type TTL struct {
	Idle time.Duration // the idle timeout: how long the session lives without being used
	Max  time.Duration // the absolute timeout, from creation
}

// A TTLError says which TTL was refused and why. No TTL is shortened silently.
type TTLError struct {
	Field string        // "idle_ttl", "max_ttl" or "grace"
	Limit time.Duration // the largest value that would have been accepted; 0 if the value is invalid in itself
	why   string
}

func (e *TTLError) Error() string { return e.Field + " " + e.why }

// check refuses TTLs that the policy does not allow.
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
			return &TTLError{Field: f.field, Limit: p.TTLLimit, why: fmt.Sprintf("exceeds the limit of %s", p.TTLLimit)}
		}
	}
	if t.Idle > 0 && t.Max > 0 && t.Idle > t.Max {
		return &TTLError{Field: "idle_ttl", Limit: t.Max, why: "exceeds max_ttl"}
	}
	return nil
}

// resolve fills in the defaults of a create. If the caller's idle TTL is above the default max TTL, it becomes the max TTL
// too. If the caller's max TTL is below the default idle TTL, it becomes the idle TTL too.
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
