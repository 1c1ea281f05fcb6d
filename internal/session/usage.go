package session

import (
	"maps"
	"sync"
	"time"
)

// A Usage is what a tenant's live sessions take.
type Usage struct {
	Sessions int64
	Bytes    int64 // of their records
}

// usages know what tenants use: what the last census is sure of, and what this instance has created since. A census alone would
// let a tenant create without a limit until the next one. Without a census for a while nothing is known: what was created may
// have ended. Nil knows nothing.
type usages struct {
	lasts time.Duration // how long a census tells something

	mu      sync.Mutex
	until   time.Time        // the last census tells something, or the first one is to come; guarded by mu
	sure    map[string]Usage // by the last census; guarded by mu
	created map[string]Usage // by this instance, ever; guarded by mu
	counted map[string]Usage // of those, what the last census has seen; guarded by mu
}

func newUsages(every time.Duration) *usages {
	lasts := 3 * every
	return &usages{lasts: lasts, until: time.Now().Add(lasts), sure: map[string]Usage{}, created: map[string]Usage{}, counted: map[string]Usage{}}
}

// add counts a session that this instance has created.
func (u *usages) add(tenant string, n New) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.created[tenant]
	c.Sessions++
	c.Bytes += int64(newestFormat.headerSize() + len(n.User) + len(n.Meta) + len(n.Data) + sealOverhead)
	u.created[tenant] = c
}

// begin returns what a census that begins now will have seen.
func (u *usages) begin() map[string]Usage {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.created)
}

// estimated takes over the outcome of a census.
func (u *usages) estimated(began, sure map[string]Usage) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counted, u.sure, u.until = began, sure, time.Now().Add(u.lasts)
}

func (u *usages) of(tenant string) (Usage, bool) {
	if u == nil {
		return Usage{}, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Now().After(u.until) {
		return Usage{}, false
	}
	sure, created, counted := u.sure[tenant], u.created[tenant], u.counted[tenant]
	return Usage{
		Sessions: sure.Sessions + created.Sessions - counted.Sessions,
		Bytes:    sure.Bytes + created.Bytes - counted.Bytes,
	}, true
}

// Usage implements [Store].
func (s *RedisStore) Usage(t *Tenant) (u Usage, known bool) { return s.census.usage.of(t.name) }
