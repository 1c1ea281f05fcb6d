package keys

import (
	"errors"
	"fmt"
	"math"

	"github.com/sessiond/sessiond/internal/session"
)

// A Scope is a set of things that a caller may do.
type Scope uint8

const (
	Read  Scope = 1 << iota // read and list sessions
	Write                   // create, change and revoke them
	Admin                   // walk all of a tenant's
	Ops                     // see the metrics, the cluster and the live page, which are not a tenant's
)

// A Grant is what a caller may do, and to whose sessions.
type Grant struct {
	Key     string // the ID of the caller's API key, which is public; empty without a key file
	Tenant  *session.Tenant
	Scopes  Scope
	MaxBody int64 // bytes of a request's body
	Quota   Quota

	byCert bool // a client certificate shows who the caller is, not an API key
}

// A Quota is what a tenant may take. All its keys share it. A zero field is no limit.
type Quota struct {
	PerSecond float64 // requests per second of one instance
	Burst     int     // requests that may come at once after a pause; NewGrant sets it to those of a second
	InFlight  int     // requests in progress on one instance
	Sessions  int64   // live sessions in the store, as the census estimates them
	Bytes     int64   // of the records of these sessions
	Weight    int     // its share of an instance and of a node while others want theirs; NewGrant makes 0 a 1
}

// maxWeight is the largest share, in shares of 1: as many commands go in one batch to a node.
const maxWeight = 100

func (q *Quota) complete() error {
	switch {
	case !(q.PerSecond >= 0) || math.IsInf(q.PerSecond, 0) || q.Burst < 0 || q.InFlight < 0 || q.Sessions < 0 || q.Bytes < 0 || q.Weight < 0:
		return errors.New("no quota and no weight may be negative")
	case q.Weight > maxWeight:
		return fmt.Errorf("a weight must be at most %d", maxWeight)
	case q.Burst > 0 && q.PerSecond == 0:
		return errors.New("burst needs requests_per_second")
	case q.Burst == 0:
		q.Burst = int(math.Ceil(q.PerSecond))
	}
	q.Weight = max(1, q.Weight)
	return nil
}

// Limits are what a tenant gets unless the key file says otherwise. MaxContent of the policy follows from MaxBody.
type Limits struct {
	Policy  session.Policy
	MaxBody int64            // bytes of a request's body; must be positive
	Secrets *session.Secrets // of all tenants; may be nil
	Quota   Quota
}

// NewGrant makes a grant for a tenant of its own, whose sessions hold no more than a body may.
func NewGrant(tenant string, scopes Scope, limits Limits) (Grant, error) {
	if limits.MaxBody <= 0 {
		return Grant{}, fmt.Errorf("tenant %s: the body limit must be positive", tenant)
	}
	if err := limits.Quota.complete(); err != nil {
		return Grant{}, fmt.Errorf("tenant %s: %w", tenant, err)
	}
	limits.Policy.MaxContent = int(limits.MaxBody)
	t, err := session.NewTenant(tenant, limits.Policy, limits.Secrets)
	return Grant{Tenant: t, Scopes: scopes, MaxBody: limits.MaxBody, Quota: limits.Quota}, err
}

// OnLimit says what happens when a user who has reached the session limit starts another session. The empty string means
// that it was not given.
type OnLimit string

const (
	Deny        OnLimit = "deny"         // the new session is refused
	EvictOldest OnLimit = "evict-oldest" // the user's oldest session is revoked
)
