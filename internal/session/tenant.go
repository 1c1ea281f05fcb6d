package session

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// A Tenant owns sessions. Tenants share a cluster but nothing else: the name is part of every key and of every seal,
// so one tenant's ID means nothing to another.
type Tenant struct {
	name   string
	policy Policy
}

// A Policy says what a tenant's sessions may be. The three durations must be positive, and DefaultIdle and DefaultMax
// not above TTLLimit.
type Policy struct {
	DefaultIdle time.Duration // idle timeout of a session that asks for none
	DefaultMax  time.Duration // absolute timeout, from creation, of a session that asks for none
	TTLLimit    time.Duration // the largest idle or absolute timeout that a caller may ask for
	MaxPerUser  int           // sessions that one user may have at a time; 0: any number
	MaxContent  int           // bytes of meta and data together; 0: any number
	EvictOldest bool          // whether one more revokes the user's oldest session, or is denied (ErrLimit)
}

// tenantName keeps names free of ':' and braces, which have a meaning in keys, and of NUL, which separates hash input.
var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// NewTenant checks the name (1 to 32 of a-z, 0-9, "_" and "-", not starting with a sign) and the policy.
func NewTenant(name string, policy Policy) (*Tenant, error) {
	if !tenantName.MatchString(name) {
		return nil, fmt.Errorf("tenant name %q: want 1 to 32 of a-z, 0-9, _ and -", name)
	}
	if err := policy.validate(); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	return &Tenant{name: name, policy: policy}, nil
}

// Name is the tenant's name; it is no secret.
func (t *Tenant) Name() string { return t.name }

func (p Policy) validate() error {
	switch {
	case p.DefaultIdle < time.Millisecond || p.DefaultMax < time.Millisecond || p.TTLLimit < time.Millisecond:
		return errors.New("every TTL must be at least 1ms")
	case p.TTLLimit > maxTTL:
		return fmt.Errorf("the TTL limit %s is above %s", p.TTLLimit, maxTTL)
	case p.DefaultIdle > p.TTLLimit:
		return fmt.Errorf("the default idle TTL %s is above the limit %s", p.DefaultIdle, p.TTLLimit)
	case p.DefaultMax > p.TTLLimit:
		return fmt.Errorf("the default max TTL %s is above the limit %s", p.DefaultMax, p.TTLLimit)
	case p.MaxPerUser < 0 || p.MaxContent < 0:
		return errors.New("a limit is negative")
	}
	return nil
}
