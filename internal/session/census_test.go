package session_test

import (
	"log/slog"
	"strings"
	"testing"

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
