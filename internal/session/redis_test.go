package session_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func embedded(t *testing.T, config cluster.Config) (*clustertest.Embedded, *session.RedisStore) {
	e := clustertest.StartEmbedded(t)
	return e, session.NewRedisStore(e.Client(t, config))
}

func TestStoreEmbedded(t *testing.T) {
	sessiontest.TestStore(t, func(t *testing.T) sessiontest.Env {
		e, store := embedded(t, cluster.Config{})
		return sessiontest.Env{
			Store:   store,
			Advance: func(_ *testing.T, d time.Duration) { e.Advance(d) },
		}
	})
}

// Cost is part of the contract: one GET for a read, one script call for a write.
func TestCommandsPerCall(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	ctx, tenant := t.Context(), sessiontest.Tenant(t, "acme")
	ref := tenant.NewRef("alice")
	n := session.New{User: "alice", Content: session.Content{Data: jsontext.Value(`{}`)}}
	patch := session.Patch{Data: jsontext.Value(`{"a":1}`)}
	calls := []struct {
		name string
		call func() error
		want []string
	}{
		{"create", func() error { _, err := store.Create(ctx, ref, n); return err }, []string{"EVALSHA"}},
		{"get", func() error { _, err := store.Get(ctx, ref); return err }, []string{"GET"}},
		{"replace", func() error {
			_, err := store.Replace(ctx, ref, n.Content, session.TTL{}, session.Guard{})
			return err
		}, []string{"EVALSHA"}},
		{"patch", func() error { _, err := store.Patch(ctx, ref, patch, session.Guard{}); return err }, []string{"GET", "EVALSHA"}},
		{"touch", func() error { _, err := store.Touch(ctx, ref, session.TTL{}, session.Guard{}); return err }, []string{"EVALSHA"}},
		{"delete", func() error { return store.Delete(ctx, ref, session.Guard{}) }, []string{"EVALSHA"}},
	}
	for _, c := range calls {
		if err := c.call(); err != nil { // the node learns the script
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	ref = tenant.NewRef("alice")
	for _, c := range calls {
		e.Commands()
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := slices.DeleteFunc(e.Commands(), func(cmd string) bool { return !topLevel[cmd] })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s took %v, want %v", c.name, got, c.want)
		}
	}
}

var topLevel = map[string]bool{"EVALSHA": true, "EVAL": true, "GET": true}

// A write whose answer is lost is sent again and takes effect once.
func TestLostAnswers(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	_, store := embedded(t, cluster.Config{Dial: lossy.Dial})
	tenant := sessiontest.Tenant(t, "acme")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	check := func(name string, s session.Session, err error, version uint64, data string) {
		t.Helper()
		if err != nil || s.Version != version || string(s.Data) != data {
			t.Errorf("%s: got version %d, data %s, error %v; want %d, %s", name, s.Version, s.Data, err, version, data)
		}
		if !lossy.Lost() {
			t.Errorf("%s: no answer was lost", name)
		}
	}
	content := func(text string) session.Content { return session.Content{Data: jsontext.Value(text)} }
	ref := tenant.NewRef("")

	lossy.LoseNext(1)
	s, err := store.Create(ctx, ref, session.New{Content: content(`{"a":1}`)})
	check("create", s, err, 1, `{"a":1}`)

	lossy.LoseNext(2)
	s, err = store.Replace(ctx, ref, content(`{"a":2}`), session.TTL{}, session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}})
	check("replace", s, err, 2, `{"a":2}`)

	lossy.LoseNext(1)
	s, err = store.Patch(ctx, ref, session.Patch(content(`{"b":3}`)), session.Guard{})
	check("patch", s, err, 3, `{"a":2,"b":3}`)

	lossy.LoseNext(1)
	guard := session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}}
	if err := store.Delete(ctx, ref, guard); err != nil || !lossy.Lost() {
		t.Errorf("delete: %v, lost %t", err, lossy.Lost())
	}
}
