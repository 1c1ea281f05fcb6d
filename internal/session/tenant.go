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
	name    string
	policy  Policy
	secrets *Secrets
}

// A Policy limits a tenant's sessions. The three durations must be at least 1 ms, and DefaultIdle and DefaultMax at most
// TTLLimit.
type Policy struct {
	DefaultIdle time.Duration // the idle timeout of a session that is created without one
	DefaultMax  time.Duration // the absolute timeout, from creation, of a session that is created without one
	TTLLimit    time.Duration // the largest idle or absolute timeout that a caller may ask for
	MaxPerUser  int           // live sessions of one user, at most 1000; 0: any number
	MaxContent  int           // bytes of meta and data together; 0: any number
	EvictOldest bool          // at MaxPerUser, a create revokes the user's oldest session; otherwise it fails with ErrLimit
}

// maxPerUser bounds Policy.MaxPerUser: now and then a create at the limit looks at all sessions of the user, which takes this many
// about 5 ms. CHECKED in scripts/record.lua is above it.
const maxPerUser = 1000

// tenantName excludes ':' and braces, which have a meaning in keys, and NUL, which separates the input of hashes.
var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// NewTenant checks the policy and the name: 1 to 32 of a-z, 0-9, "_" and "-", beginning with a letter or a digit.
// Secrets may be nil.
func NewTenant(name string, policy Policy, secrets *Secrets) (*Tenant, error) {
	if !tenantName.MatchString(name) {
		return nil, fmt.Errorf("tenant name %q: it must be 1 to 32 of a-z, 0-9, _ and -, and begin with a letter or a digit", name)
	}
	if err := policy.validate(); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	return &Tenant{name: name, policy: policy, secrets: secrets}, nil
}

// Name is the tenant's name. It is not a secret.
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
		return errors.New("the limits on sessions per user and on content must not be negative")
	case p.MaxPerUser > maxPerUser:
		return fmt.Errorf("the limit of %d sessions per user is above %d; 0 is no limit", p.MaxPerUser, maxPerUser)
	}
	return nil
}
