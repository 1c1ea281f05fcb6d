package load

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// shunned is how long a target that refused a connection is left alone, if there are others.
	shunned = 250 * time.Millisecond
	// silentChecks in a row make a target count as not ready: one may be lost on a busy machine.
	silentChecks = 3
)

// A target is one instance.
type target struct {
	base    *url.URL
	shunned atomic.Int64 // until when it is left alone since it refused a connection, UnixNano
	unready atomic.Bool  // by the checks; false without them
	silent  int          // checks in a row that got no answer; only check uses it
}

func (t *target) shun() { t.shunned.Store(time.Now().Add(shunned).UnixNano()) }

// drawback orders targets: the less, the better. One that is about to stop still accepts connections, and breaks them when
// it is gone, so it comes behind one that refused a connection a moment ago.
func (t *target) drawback(heedShunned bool) int {
	n := 0
	if t.unready.Load() {
		n += 2
	}
	if until := t.shunned.Load(); heedShunned && until != 0 && time.Now().UnixNano() < until {
		n++
	}
	return n
}

// pick takes the next of the targets that have the least drawback, and of those that this call has tried, none unless all
// are.
func (c *client) pick(turn uint64, tried []*target) *target {
	n := uint64(len(c.targets))
	var best *target
	least := 0
	for i := range n {
		t := c.targets[(turn+i)%n]
		d := t.drawback(c.redial)
		if slices.Contains(tried, t) {
			d += 4
		}
		if best == nil || d < least {
			best, least = t, d
		}
		if least == 0 {
			break
		}
	}
	return best
}

// check asks a target again and again whether it is ready (/readyz), as a load balancer does.
func (c *client) check(ctx context.Context, t *target, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, 2*every)
		r := c.send(limit, t, call{method: http.MethodGet, path: "/readyz", header: http.Header{}})
		cancel()
		t.checked(r.status)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// checked takes a check's outcome in, the status of its answer or 0 if none came.
func (t *target) checked(status int) {
	if t.silent++; status != 0 {
		t.silent = 0
	}
	if t.silent == 0 || t.silent >= silentChecks {
		t.unready.Store(status != http.StatusOK)
	}
}
