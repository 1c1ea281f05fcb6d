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
	// shunned is how long a target gets no requests after it refused a connection, if there are others.
	shunned = 250 * time.Millisecond
	// silentChecks is how many unanswered checks in a row make a target count as not ready. A busy machine may miss one.
	silentChecks = 3
)

// A target is one instance.
type target struct {
	base    *url.URL
	shunned atomic.Int64 // until when it gets no requests after refusing a connection, UnixNano
	unready atomic.Bool  // by the checks; false without them
	silent  int          // checks in a row that got no answer; only check uses it
}

func (t *target) shun() { t.shunned.Store(time.Now().Add(shunned).UnixNano()) }

// drawback ranks targets: lower is better. A target that is about to stop still accepts connections, and breaks them when it
// exits, so it ranks below one that just refused a connection.
func (t *target) drawback(avoidShunned bool) int {
	n := 0
	if t.unready.Load() {
		n += 2
	}
	if until := t.shunned.Load(); avoidShunned && until != 0 && time.Now().UnixNano() < until {
		n++
	}
	return n
}

// pick returns the next of the targets with the least drawback. It avoids those that this call has tried, unless it has
// tried all.
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

// check polls a target's readiness (/readyz), as a load balancer does.
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

// checked handles the outcome of a check: the status of its answer, or 0 if there was none.
func (t *target) checked(status int) {
	if t.silent++; status != 0 {
		t.silent = 0
	}
	if t.silent == 0 || t.silent >= silentChecks {
		t.unready.Store(status != http.StatusOK)
	}
}
