package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// What the API itself costs: a store that holds one session in memory stands for the cluster.

// memoryStore answers every read with one session.
type memoryStore struct {
	session.Store
	one session.Session
}

func (s *memoryStore) Get(_ context.Context, _ *session.Terms, ref session.Ref) (session.Session, error) {
	got := s.one
	got.Handle = ref.Handle
	return got, nil
}

// newCost returns the handler on such a store, and a read of the session.
func newCost(t testing.TB) (http.Handler, *http.Request) {
	grant, err := keys.NewGrant("acme", keys.Read, keys.Limits{Policy: sessiontest.Policy, MaxBody: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	store := &memoryStore{one: session.Session{
		User: "alice", Version: 3, CreatedAt: now, TouchedAt: now, IdleTTL: 30 * time.Minute, ExpiresAt: now.Add(24 * time.Hour),
		Data: jsontext.Value(`{"cart":"` + strings.Repeat("x", 500) + `"}`),
	}}
	handler, _ := New(Config{
		Store: store, Grant: func(string) (keys.Grant, bool) { return grant, true }, Deadline: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), SlowRequest: time.Second,
	})
	r := httptest.NewRequest("GET", "/v1/session", nil)
	r.Header.Set("Session-ID", grant.Tenant.NewRef("").ID())
	return handler, r
}

// A discarded is an answer that nobody reads. Unlike a recorder it takes no memory.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(status int)      { d.status = status }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }

// serveOne serves the request, and fails unless it is answered well.
func serveOne(t testing.TB, handler http.Handler, w *discarded, r *http.Request) {
	clear(w.header)
	handler.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		t.Fatalf("status %d", w.status)
	}
}

// readAllocations is how many allocations a read may make between the router and the store, both included. It may only fall.
const readAllocations = 12

func TestAllocationsOfARead(t *testing.T) {
	handler, r := newCost(t)
	w := &discarded{header: http.Header{}}
	serveOne(t, handler, w, r)
	if n := testing.AllocsPerRun(1000, func() { serveOne(t, handler, w, r) }); n > readAllocations {
		t.Errorf("a read makes %v allocations, and may make %d", n, readAllocations)
	}
}

func BenchmarkRead(b *testing.B) {
	handler, r := newCost(b)
	w := &discarded{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		serveOne(b, handler, w, r)
	}
}

// The answer is put together by hand, and is JSON all the same, whatever the user is called.
func TestAnswerIsJSON(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, user := range []string{"", "alice", `a"b\c`, "\x01\t\n", "ü ☃ 𝄞", "<&>", "\u2028"} {
		s := session.Session{
			Handle: sessiontest.Tenant(t, "acme").NewRef("").Handle, User: user, Version: 7, CreatedAt: now, TouchedAt: now,
			IdleTTL: 90 * time.Minute, ExpiresAt: now.Add(time.Hour), Meta: jsontext.Value(`{ "a": 1 }`), Data: jsontext.Value(` [1, 2]`),
		}
		for _, id := range []string{"", "an-id-of-22-characters"} {
			text, err := encodeSession(s, id)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%q: %v: %s", user, err, text)
			}
			if name, _ := got["user"].(string); name != user || (user == "") == strings.Contains(string(text), `"user"`) {
				t.Errorf("the user %q became %v", user, got["user"])
			}
			if given, _ := got["id"].(string); given != id || (id == "") == strings.Contains(string(text), `"id"`) {
				t.Errorf("the ID %q became %v", id, got["id"])
			}
			if got["handle"] != s.Handle.String() || got["version"] != 7. || got["idle_ttl"] != "1h30m" || got["max_ttl"] != "1h" ||
				got["created_at"] != "2026-01-02T03:04:05.000006Z" || !strings.HasSuffix(string(text), `,"meta":{ "a": 1 },"data": [1, 2]}`) {
				t.Errorf("got %s", text)
			}
		}
	}
}
