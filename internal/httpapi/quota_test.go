package httpapi

import (
	"context"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// setQuota makes the callers those of a tenant with this quota, as a reload of the key file does.
func (f *fixture) setQuota(tenant string, q keys.Quota) {
	f.t.Helper()
	grant, err := keys.NewGrant(tenant, keys.Read|keys.Write|keys.Admin, keys.Limits{Policy: sessiontest.Policy, MaxBody: 4096, Quota: q})
	if err != nil {
		f.t.Fatal(err)
	}
	f.grant = func(string) (keys.Grant, bool) { return grant, true }
}

func (f *fixture) wantRefusals(want string) {
	f.t.Helper()
	n, err := testutil.GatherAndCount(f.registry, "sessiond_quota_refusals_total")
	if err != nil || n != 1 {
		f.t.Errorf("%d series of refusals, want %s: %v", n, want, err)
	}
}

// Too many requests per second are 429, for the tenant alone, and its neighbours notice nothing. A reload that leaves the
// quota as it is forgives nothing.
func TestRateQuota(t *testing.T) {
	f := newFixture(t)
	quota := keys.Quota{PerSecond: 0.001, Burst: 2}
	f.setQuota("acme", quota)
	for _, left := range []string{"1", "0"} {
		got := f.do("GET", "/v1/session", "", "Session-ID", "0000000000000000000000").want(404)
		if h := got.Header; h.Get("RateLimit-Policy") != `"requests";q=2;w=2000` || h.Get("RateLimit") != `"requests";r=`+left+`;t=`+map[string]string{"1": "1000", "0": "2000"}[left] {
			t.Errorf("got %v", h)
		}
	}
	f.setQuota("acme", quota)
	got := f.do("POST", "/v1/sessions", "{}")
	if p := got.wantProblem(429, "rate-limited"); p["retryable"] != true || p["limit"] != "2" || got.Header.Get("Retry-After") != "1000" {
		t.Errorf("got %v, %v", p, got.Header)
	}
	f.do("GET", "/livez", "").want(200)
	f.setQuota("other", quota)
	f.do("POST", "/v1/sessions", "{}").want(201)
	f.setQuota("acme", keys.Quota{PerSecond: 0.001, Burst: 3})
	f.do("POST", "/v1/sessions", "{}").want(201) // the numbers have changed
	f.wantRefusals(`{quota="requests",tenant="acme"}`)
}

// The bucket fills again, up to the burst.
func TestRateRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		grant, err := keys.NewGrant("acme", 0, keys.Limits{Policy: sessiontest.Policy, MaxBody: 1, Quota: keys.Quota{PerSecond: 2, Burst: 4}})
		if err != nil {
			t.Fatal(err)
		}
		m := new(meters).of(&grant)
		admitted := func() (n int) {
			for m.enter(1, time.Now()) == nil {
				n++
			}
			return n
		}
		for _, c := range []struct {
			pause time.Duration
			want  int
		}{{0, 4}, {0, 0}, {time.Second, 2}, {time.Hour, 4}} {
			time.Sleep(c.pause)
			if got := admitted(); got != c.want {
				t.Errorf("after %s: %d, want %d", c.pause, got, c.want)
			}
		}
		if got := m.refill(1, time.Now()); got != 500*time.Millisecond {
			t.Errorf("the next one after %s", got)
		}
	})
}

// slowStore answers a read when the test lets it.
type slowStore struct {
	session.Store
	asked, answer chan struct{}
}

func (s *slowStore) Get(context.Context, *session.Terms, session.Ref) (session.Session, error) {
	s.asked <- struct{}{}
	<-s.answer
	return session.Session{}, session.ErrNotFound
}

// Too many requests in progress are 429. A place is free again once one of them is answered, even with an error.
func TestInFlightQuota(t *testing.T) {
	slow := &slowStore{asked: make(chan struct{}), answer: make(chan struct{})}
	f := newFixture(t, func(c *Config) { slow.Store, c.Store = c.Store, slow })
	f.setQuota("acme", keys.Quota{InFlight: 2})
	answered := make(chan int)
	for range 2 {
		go func() {
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, httptest.NewRequest("GET", "/v1/sessions/0000000000000000000000", nil))
			answered <- w.Code
		}()
		<-slow.asked
	}
	got := f.do("POST", "/v1/sessions", "{}")
	got.wantProblem(429, "too-many-in-flight")
	if h := got.Header; h.Get("Retry-After") != "1" || h.Get("RateLimit-Policy") != `"in-flight";q=2;qu="concurrent-requests"` || h.Get("RateLimit") != `"in-flight";r=0` {
		t.Errorf("got %v", h)
	}
	f.setQuota("other", keys.Quota{InFlight: 2})
	f.do("POST", "/v1/sessions", "{}").want(201)
	close(slow.answer)
	<-answered
	<-answered
	f.setQuota("acme", keys.Quota{InFlight: 2})
	f.do("POST", "/v1/sessions", "{}").want(201)
}

func (s *slowStore) Walk(context.Context, *session.Terms, *session.Tenant, string, int) ([]session.Handle, string, error) {
	s.asked <- struct{}{}
	<-s.answer
	return nil, "", session.ErrCursorExpired
}

// A tenant has few walks in progress, all together have some more, and other calls of theirs do not wait for walks.
func TestWalksAreBounded(t *testing.T) {
	slow := &slowStore{asked: make(chan struct{}), answer: make(chan struct{})}
	f := newFixture(t, func(c *Config) { slow.Store, c.Store = c.Store, slow })
	answered := make(chan int)
	walk := func() {
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, httptest.NewRequest("GET", "/v1/sessions", nil))
		answered <- w.Code
	}
	for i := range maxWalks {
		f.setQuota("t"+strconv.Itoa(i/maxWalksOf), keys.Quota{})
		go walk()
		<-slow.asked
	}
	got := f.do("GET", "/v1/sessions", "")
	got.wantProblem(429, "too-many-in-flight")
	if h := got.Header; h.Get("Retry-After") != "1" || h.Get("RateLimit-Policy") != `"walks";q=2;qu="concurrent-requests"` || h.Get("RateLimit") != `"walks";r=0` {
		t.Errorf("got %v", h)
	}
	f.do("POST", "/v1/sessions", "{}").want(201)
	f.setQuota("other", keys.Quota{})
	f.do("GET", "/v1/sessions", "").wantProblem(503, "overloaded")
	close(slow.answer)
	for range maxWalks {
		<-answered
	}
	go func() { <-slow.asked }()
	f.do("GET", "/v1/sessions", "").wantProblem(410, "cursor-expired")
}

// fullStore is one in which every tenant has a million sessions.
type fullStore struct{ session.Store }

func (fullStore) Usage(*session.Tenant) (session.Usage, bool) {
	return session.Usage{Sessions: 1e6, Bytes: 1e9}, true
}

// A tenant with too many sessions may do all but add one.
func TestQuotaOnWhatIsStored(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Store = fullStore{c.Store} })
	id := f.do("POST", "/v1/sessions", `{"data":1}`).id()
	const unknown, chosen = "/v1/sessions/0000000000000000000000", "/v1/sessions/an-id-of-the-callers-own"
	f.do("PUT", chosen, `{"data":1}`, "If-None-Match", "*", "Idempotency-Key", "k").want(201)
	for quota, headers := range map[keys.Quota][2]string{
		{Sessions: 1e6}: {`"sessions";q=1000000;qu="sessions"`, `"sessions";r=0`},
		{Bytes: 1e9}:    {`"bytes";q=1000000000;qu="content-bytes"`, `"bytes";r=0`},
	} {
		f.setQuota("acme", quota)
		got := f.do("POST", "/v1/sessions", "{}")
		got.wantProblem(429, "quota-exceeded")
		if h := got.Header; h.Get("RateLimit-Policy") != headers[0] || h.Get("RateLimit") != headers[1] || h.Get("Retry-After") == "" {
			t.Errorf("got %v", h)
		}
		f.do("PUT", unknown, "{}", "If-None-Match", "*").wantProblem(429, "quota-exceeded")
		f.do("PUT", unknown+"?upsert=true", "{}").wantProblem(429, "quota-exceeded")
		f.do("PUT", unknown+"?upsert=true", "{}", "If-Match", "*").wantProblem(404, "not-found")
		f.do("PUT", chosen, `{"data":1}`, "If-None-Match", "*", "Idempotency-Key", "k").want(201) // as the first time
		f.do("PUT", chosen, `{"data":2}`, "If-None-Match", "*").wantProblem(412, "exists")
		f.do("PUT", "/v1/sessions/"+id+"?upsert=true", `{"data":2}`).want(200)
		f.do("PUT", "/v1/sessions/"+id, `{"data":3}`).want(200)
		f.do("PUT", unknown, `{}`).wantProblem(404, "not-found")
		f.do("GET", "/v1/sessions/"+id, "").want(200)
		f.do("POST", "/v1/sessions/"+id+"/touch", "").want(200)
		id = f.do("POST", "/v1/sessions/"+id+"/rotate", `{"user":"alice"}`).want(200).json()["id"].(string)
		f.do("DELETE", "/v1/sessions/1111111111111111111111", "").want(204)
		f.setQuota("acme", keys.Quota{Sessions: 1e6 + 1, Bytes: 1e9 + 1})
		f.do("POST", "/v1/sessions", "{}").want(201)
	}
	f.do("DELETE", "/v1/sessions/"+id, "").want(204)
}
