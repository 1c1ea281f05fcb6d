package session_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// The census counts live sessions by tenant. It counts no revoked session and no index, and drops a tenant without sessions.
func TestCensus(t *testing.T) {
	registry := prometheus.NewRegistry()
	e := clustertest.StartEmbedded(t)
	store := session.NewRedisStore(e.Client(t, cluster.Config{}), session.Options{Log: slog.New(slog.DiscardHandler), Metrics: registry, Now: e.Now})
	t.Cleanup(func() { store.Close(t.Context()) })
	want := func(text string) {
		t.Helper()
		session.CountNow(store)
		head := "# HELP sessiond_sessions_live Sessions that are live, estimated from a sample of the keys; every instance estimates the same total.\n# TYPE sessiond_sessions_live gauge\n"
		if text == "" {
			head = ""
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(head+text), "sessiond_sessions_live"); err != nil {
			t.Error(err)
		}
	}
	want("")
	var refs []session.Ref
	for range 2 {
		ref := sessiontest.Tenant(t, "acme").NewRef("")
		if _, err := store.Create(t.Context(), nil, ref, session.New{}, ""); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	// If all keys are alike, every sample gives the same estimate.
	want(`sessiond_sessions_live{tenant="acme"} 2` + "\n")
	for _, ref := range refs {
		if err := store.Delete(t.Context(), nil, ref, session.Deletion{}); err != nil {
			t.Fatal(err)
		}
	}
	want("")
	if _, err := store.Create(t.Context(), nil, sessiontest.Tenant(t, "other").NewRef(""), session.New{}, ""); err != nil {
		t.Fatal(err)
	}
}

// What a tenant uses is what the census is sure of and what was created since; before the first one, what was created.
func TestUsage(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	client := e.Client(t, cluster.Config{})
	newStore := func(every time.Duration) *session.RedisStore {
		store := session.NewRedisStore(client, session.Options{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Now: e.Now, Census: every})
		t.Cleanup(func() { store.Close(t.Context()) })
		return store
	}
	tenant := sessiontest.Tenant(t, "acme")
	store, other := newStore(time.Hour), newStore(time.Hour)
	want := func(s *session.RedisStore, sessions, bytes int64) {
		t.Helper()
		if got, known := s.Usage(tenant); !known || got != (session.Usage{Sessions: sessions, Bytes: bytes}) {
			t.Errorf("got %+v, %t; want %d sessions of %d bytes", got, known, sessions, bytes)
		}
	}
	const size = 94 + 5 + 7 + 12 + 16 // header, meta, data, nonce and tag
	n := session.New{Content: session.Content{Meta: []byte(`{   }`), Data: []byte(`"hello"`)}}
	for range 3 {
		if _, err := store.Create(t.Context(), nil, tenant.NewRef(""), n, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Upsert(t.Context(), nil, tenant.NewRef(""), n.Content, session.TTL{}, session.Write{}); err != nil {
		t.Fatal(err)
	}
	want(store, 4, 4*size)
	want(other, 0, 0)
	session.CountNow(other)
	want(other, 4, 4*size) // all keys are this tenant's: nothing is left to chance
	session.CountNow(store)
	want(store, 4, 4*size) // nothing is counted twice
	if _, err := store.Create(t.Context(), nil, tenant.NewRef(""), n, ""); err != nil {
		t.Fatal(err)
	}
	want(store, 5, 5*size)
	session.CountNow(store)
	want(store, 5, 5*size)
	if _, known := newStore(0).Usage(tenant); known {
		t.Error("a store that takes no census knows what a tenant uses")
	}
}
