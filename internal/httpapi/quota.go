package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sessiond/sessiond/internal/keys"
)

// The names of the quotas, in headers and metrics.
const (
	quotaRequests = "requests"
	quotaInFlight = "in-flight"
	quotaSessions = "sessions"
	quotaBytes    = "bytes"
	quotaWalks    = "walks"
)

// concurrentRequests is a unit of quotas, of draft-ietf-httpapi-ratelimit-headers-10.
const concurrentRequests = "concurrent-requests"

// censusWait is how long a caller waits who may add no session: until the next estimate, by default.
const censusWait = 30 * time.Second

// A quotaError refuses a request because its tenant has taken what it may.
type quotaError struct {
	kind  kind
	quota string
	limit int64
	wait  time.Duration // before another try
	unit  string        // of a quota that only those are told who exceed it; empty if it is told in every answer
}

func (e *quotaError) Error() string { return fmt.Sprintf("the quota on %s is %d", e.quota, e.limit) }

// A meter measures what a tenant takes of its quota on this instance.
type meter struct {
	quota    keys.Quota
	requests *rate.Limiter // nil for no limit
	inFlight atomic.Int64
}

// meters hold the meter of each tenant. When the key file is read again, a tenant whose quota stays keeps its meter.
type meters struct{ by sync.Map }

func (ms *meters) of(g *keys.Grant) *meter {
	if m, ok := ms.by.Load(g.Tenant.Name()); ok && m.(*meter).quota == g.Quota {
		return m.(*meter)
	}
	m := &meter{quota: g.Quota}
	if g.Quota.PerSecond > 0 {
		m.requests = rate.NewLimiter(rate.Limit(g.Quota.PerSecond), g.Quota.Burst)
	}
	ms.by.Store(g.Tenant.Name(), m) // if several come at once, one of them stays
	return m
}

// withinQuota lets a request through unless its tenant sends too many. It says how many more may come.
func (a *api) withinQuota(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant := grantOf(r)
		if grant.Quota.PerSecond == 0 && grant.Quota.InFlight == 0 {
			next.ServeHTTP(w, r)
			return
		}
		m := a.meters.of(grant)
		defer m.inFlight.Add(-1)
		err := m.enter(m.inFlight.Add(1), time.Now())
		m.tell(w.Header(), time.Now())
		if err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// enter admits a request, if there are so many in progress with it. One that is refused takes nothing of the rate.
func (m *meter) enter(inFlight int64, now time.Time) *quotaError {
	if limit := int64(m.quota.InFlight); limit > 0 && inFlight > limit {
		return &quotaError{tooManyInFlight, quotaInFlight, limit, time.Second, ""}
	}
	if m.requests != nil && !m.requests.AllowN(now, 1) {
		return &quotaError{rateLimited, quotaRequests, int64(m.quota.Burst), m.refill(1, now), ""}
	}
	return nil
}

// refill is how long it takes until so many requests may come at once.
func (m *meter) refill(n int, now time.Time) time.Duration {
	missing := max(0, float64(n)-m.requests.TokensAt(now))
	return time.Duration(missing / m.quota.PerSecond * float64(time.Second))
}

// tell sets RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10).
func (m *meter) tell(h http.Header, now time.Time) {
	var policy, state []string
	if m.requests != nil {
		window := math.Ceil(float64(m.quota.Burst) / m.quota.PerSecond)
		policy = append(policy, fmt.Sprintf("%q;q=%d;w=%.0f", quotaRequests, m.quota.Burst, window))
		state = append(state, fmt.Sprintf("%q;r=%.0f;t=%d", quotaRequests, max(0, math.Floor(m.requests.TokensAt(now))), seconds(m.refill(m.quota.Burst, now))))
	}
	if limit := int64(m.quota.InFlight); limit > 0 {
		policy = append(policy, fmt.Sprintf("%q;q=%d;qu=%q", quotaInFlight, limit, concurrentRequests))
		state = append(state, fmt.Sprintf("%q;r=%d", quotaInFlight, max(0, limit-m.inFlight.Load())))
	}
	h.Set("RateLimit-Policy", strings.Join(policy, ", "))
	h.Set("RateLimit", strings.Join(state, ", "))
}

// mayAdd refuses another session of a tenant whose sessions take what they may, or more. Nobody counts them exactly.
func (a *api) mayAdd(r *http.Request) error {
	q := grantOf(r).Quota
	if q.Sessions == 0 && q.Bytes == 0 {
		return nil
	}
	switch used, known := a.Store.Usage(tenantOf(r)); {
	case known && q.Sessions > 0 && used.Sessions >= q.Sessions:
		return &quotaError{quotaExceeded, quotaSessions, q.Sessions, censusWait, "sessions"}
	case known && q.Bytes > 0 && used.Bytes >= q.Bytes:
		return &quotaError{quotaExceeded, quotaBytes, q.Bytes, censusWait, "content-bytes"}
	}
	return nil
}

// tellRefusal counts a refusal, and says what was exceeded and when to come again.
func (a *api) tellRefusal(h http.Header, r *http.Request, e *quotaError) {
	a.metrics.quotas.WithLabelValues(tenantOf(r).Name(), e.quota).Inc()
	h.Set("Retry-After", strconv.Itoa(max(1, seconds(e.wait))))
	if e.unit != "" {
		h.Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;qu=%q", e.quota, e.limit, e.unit))
		h.Add("RateLimit", fmt.Sprintf("%q;r=0", e.quota))
	}
}

// seconds are whole seconds, rounded up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
