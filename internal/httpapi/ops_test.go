package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// forOperators are the paths that show how the service and its cluster are.
var forOperators = []string{"/metrics", "/v1/cluster", "/v1/cluster/events", "/readyz?verbose", "/", "/page/main.js"}

// withScopes makes callers' keys: each is the name of the scopes that it has, but for an expired one.
func withScopes(t *testing.T, f *fixture) {
	t.Helper()
	scopes := map[string]keys.Scope{"callers": keys.Read | keys.Write | keys.Admin, "operators": keys.Ops}
	f.grant = func(bearer string) (keys.Grant, bool) {
		if scopes[bearer] == 0 {
			return keys.Grant{Key: map[string]string{"expired": "expired-key"}[bearer]}, false
		}
		grant, err := keys.NewGrant("acme", scopes[bearer], keys.Limits{Policy: sessiontest.Policy, MaxBody: 4096})
		if err != nil {
			t.Fatal(err)
		}
		grant.Key = bearer + "-key"
		return grant, true
	}
}

func TestOperationsNeedAKey(t *testing.T) {
	f := newFixture(t, withPage, func(c *Config) { c.Ops = OpsByKey })
	withScopes(t, f)
	for _, path := range forOperators {
		call := f.do
		if path == "/" || strings.HasPrefix(path, "/page") { // which are not in the OpenAPI document
			call = f.raw
		}
		got := call("GET", path, "")
		got.wantProblem(401, "unauthorized")
		if got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", path)
		}
		call("GET", path, "", "Authorization", "Bearer wrong").wantProblem(401, "unauthorized")
		call("GET", path, "", "Authorization", "Bearer callers").wantProblem(403, "forbidden")
		call("GET", path, "", "Authorization", "Bearer operators").want(200)
	}
	f.do("GET", "/v1/cluster/events", "", "Accept", "text/event-stream").wantProblem(401, "unauthorized")
	f.raw("POST", "/metrics", "").wantProblem(401, "unauthorized")
	f.do("POST", "/v1/sessions", `{}`, "Authorization", "Bearer operators").wantProblem(403, "forbidden")
	f.do("GET", "/v1/sessions", "", "Authorization", "Bearer operators").wantProblem(403, "forbidden")
	f.do("GET", "/livez", "").want(200)
	f.do("GET", "/openapi.yaml", "").want(200)
}

// A probe needs no key, and learns whether the service is ready, not why.
func TestReadinessForProbes(t *testing.T) {
	for _, access := range []OpsAccess{OpsByKey, OpsApart} {
		f := newFixture(t, func(c *Config) { c.Ops = access })
		withScopes(t, f)
		for _, c := range []struct {
			err    error
			status int
			body   string
		}{{nil, 200, `{"status":"ready"}`}, {cluster.ErrUnavailable, 503, `{"status":"notready"}`}} {
			f.ready = func(context.Context) (watch.Snapshot, error) { return watch.Snapshot{SlotsCovered: 10000}, c.err }
			for _, key := range []string{"", "wrong", "callers"} {
				got := f.do("GET", "/readyz", "", "Authorization", "Bearer "+key).want(c.status)
				if body := strings.Join(strings.Fields(string(got.body)), ""); body != c.body {
					t.Errorf("%d, key %q: got %s", access, key, body)
				}
			}
		}
		if got := f.do("GET", "/readyz", "", "Authorization", "Bearer operators").json(); (got["reason"] != nil) != (access == OpsByKey) {
			t.Errorf("%d: an operator got %v", access, got)
		}
	}
}

func TestOperationsApart(t *testing.T) {
	f := newFixture(t, withPage, func(c *Config) { c.Ops, c.OpsHosts = OpsApart, []string{"sessiond-1"} })
	withScopes(t, f)
	for _, path := range forOperators {
		f.do("GET", path, "").wantProblem(404, "no-such-route")
		f.do("GET", path, "", "Authorization", "Bearer operators").wantProblem(404, "no-such-route")
	}
	f.do("POST", "/v1/sessions", `{}`, "Authorization", "Bearer callers").want(201) // at example.com: keys keep web pages out

	f.handler = f.ops
	at := func(host, path string) int {
		r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
		r.Host = host
		f.handler.ServeHTTP(w, r)
		return w.Code
	}
	for _, path := range append(forOperators, "/livez", "/readyz") {
		for host, want := range map[string]int{"sessiond-1:9000": 200, "127.0.0.1:9000": 200, "evil.example": 421} {
			if got := at(host, path); got != want {
				t.Errorf("%s at %s: %d", path, host, got)
			}
		}
	}
	for _, path := range []string{"/v1/sessions", "/v1/session", "/v1/users/alice/sessions", "/openapi.yaml"} {
		if got := at("127.0.0.1", path); got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// A stream ends soon after its key has.
func TestStreamEndsWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		a := &api{Config: Config{
			Ops: OpsByKey, Events: new(watch.Events),
			Grant: func(string) (keys.Grant, bool) { return keys.Grant{Scopes: keys.Ops}, !gone.Load() },
		}}
		ended := make(chan struct{})
		go func() {
			a.stream(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/cluster/events", nil).WithContext(t.Context()), 0)
			close(ended)
		}()
		time.Sleep(3 * streamPulse)
		select {
		case <-ended:
			t.Fatal("it ended before")
		default:
		}
		gone.Store(true)
		time.Sleep(streamPulse)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("it goes on")
		}
	})
}

// One key cannot take every stream of the address of a proxy.
func TestStreamsOfAKey(t *testing.T) {
	a := &api{streams: seats{all: maxStreams, each: maxStreamsOf}, streamsBy: seats{all: maxStreams, each: maxStreamsBy}}
	take := func(key string) (func(), error) {
		r := httptest.NewRequest("GET", "/", nil)
		return a.takeStream(r.WithContext(context.WithValue(r.Context(), callKey{}, &call{key: key})))
	}
	for n := range maxStreamsBy + 1 {
		if _, err := take("one"); (err == nil) != (n < maxStreamsBy) {
			t.Errorf("stream %d of a key: %v", n+1, err)
		}
	}
	leave, err := take("another")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if a.streams.taken != maxStreamsBy || a.streamsBy.taken != maxStreamsBy {
		t.Errorf("%d and %d are taken", a.streams.taken, a.streamsBy.taken)
	}
}
