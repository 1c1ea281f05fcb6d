package httpapi

import (
	"context"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// The embedded Redis has no replica, so what is asked for and what is achieved differ.
func TestPreferDurability(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct{ prefer, applied string }{
		{"", "durability=single"}, // told unasked: it is less than the default
		{"durability=replicated", "durability=single"},
		{"durability=async", "durability=async"},
		{`return=minimal, Durability="async"; foo`, "return=minimal, durability=async"},
		{"handling=lenient", "durability=single"},
		{"durability=async, durability=strict", "durability=async"}, // the first counts
		{`foo="a, durability=async"`, "durability=single"},          // not a preference but another's value
		{`foo="a\", durability=async"`, "durability=single"},
		{`foo=1; bar="; durability=async, x", durability="a\sync"`, "durability=async"},
	} {
		got := f.do("POST", "/v1/sessions", `{}`, "Prefer", c.prefer)
		if applied := got.Header.Get("Preference-Applied"); applied != c.applied {
			t.Errorf("%q: applied %q, want %q", c.prefer, applied, c.applied)
		}
	}
	f.embedded.Commands()
	f.do("POST", "/v1/sessions", `{}`, "Prefer", "durability=strict").wantProblem(503, "unavailable")
	if sent := f.embedded.Commands(); len(sent) > 0 {
		t.Errorf("a strict write was sent although there is no replica: %v", sent)
	}
	for _, bad := range []string{"durability=eventual", "durability", "read=replica", `foo="a, durability=async`} {
		f.do("POST", "/v1/sessions", `{}`, "Prefer", bad).wantProblem(400, "malformed-request")
	}
}

func TestDurabilityIsToldByDeleteToo(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{}`).id()
	if got := f.do("DELETE", path, "", "Prefer", "durability=async").want(204).Header.Get("Preference-Applied"); got != "durability=async" {
		t.Errorf("applied %q", got)
	}
}

// staleStore reads as if a replica had answered that may lack writes, if that is allowed.
type staleStore struct{ session.Store }

func (s staleStore) Peek(ctx context.Context, terms *session.Terms, ref session.Ref) (session.Session, error) {
	if !terms.AllowStale {
		return session.Session{}, cluster.ErrUnavailable
	}
	terms.ReadStale(1500 * time.Millisecond)
	return s.Store.Peek(ctx, terms, ref)
}

// A caller who would rather have an old answer than none says so, and is told how old it may be.
func TestStaleReads(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{}`).id() + "?touch=false"
	f.store.Store = staleStore{f.store.Store}
	refused := f.do("GET", path, "")
	refused.wantProblem(503, "unavailable")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	got := f.do("GET", path, "", "Prefer", "read=stale").want(200)
	if source, applied := got.Header.Get("Session-Source"), got.Header.Get("Preference-Applied"); source != "replica; stale; age=1.500" || applied != "read=stale" {
		t.Errorf("got the source %q, applied %q", source, applied)
	}
}

// replicaStore reads as if a replica had answered, unless the master is asked for.
type replicaStore struct {
	session.Store
	masterOnly bool // as it was asked
}

func (s *replicaStore) Peek(ctx context.Context, terms *session.Terms, ref session.Ref) (session.Session, error) {
	s.masterOnly = terms.MasterOnly
	if !s.masterOnly {
		terms.ReadReplica()
	}
	return s.Store.Peek(ctx, terms, ref)
}

func TestSessionSource(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{}`)
	store := &replicaStore{Store: f.store.Store}
	f.store.Store = store
	path := "/v1/sessions/" + created.id() + "?touch=false"
	if got := f.do("GET", path, "").want(200).Header.Get("Session-Source"); got != "replica" {
		t.Errorf("source %q", got)
	}
	if got := f.do("GET", path, "", "If-None-Match", created.Header.Get("ETag")).want(304).Header.Get("Session-Source"); got != "replica" {
		t.Errorf("304: source %q", got)
	}
	got := f.do("GET", path, "", "Prefer", "read=master").want(200)
	if got.Header.Get("Session-Source") != "" || got.Header.Get("Preference-Applied") != "read=master" || !store.masterOnly {
		t.Errorf("got %v, master only %t", got.Header, store.masterOnly)
	}
	f.do("DELETE", path[:len(path)-len("?touch=false")], "")
	if got := f.do("GET", path, "").want(404); got.Header.Get("Session-Source") != "replica" {
		t.Error("absence is not said to come from a replica")
	}
}
