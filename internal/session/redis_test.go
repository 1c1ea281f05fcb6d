package session_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func embedded(t *testing.T, config cluster.Config) (*clustertest.Embedded, *session.RedisStore) {
	e := clustertest.StartEmbedded(t)
	return e, newStore(t, e.Client(t, config), e.Now)
}

func TestStoreEmbedded(t *testing.T) {
	sessiontest.TestStore(t, func(t *testing.T) sessiontest.Env {
		e, store := embedded(t, cluster.Config{})
		return sessiontest.Env{
			Store:   store,
			Second:  newStore(t, e.Client(t, cluster.Config{}), e.Now),
			Advance: func(_ *testing.T, d time.Duration) { e.Advance(d) },
		}
	})
}

// While instances are upgraded, some write format 1 and some format 2.
func TestMixedFormatsEmbedded(t *testing.T) {
	sessiontest.TestStore(t, func(t *testing.T) sessiontest.Env {
		e, store := embedded(t, cluster.Config{})
		old := newStoreWith(t, e.Client(t, cluster.Config{}), session.Options{Now: e.Now, Format: 1})
		return sessiontest.Env{
			Store:   &alternating{Store: store, other: old},
			Second:  old,
			Advance: func(_ *testing.T, d time.Duration) { e.Advance(d) },
		}
	})
}

// alternating sends every other write that stores content to another store.
type alternating struct {
	session.Store
	other  session.Store
	writes atomic.Int64
}

func (a *alternating) next() session.Store {
	if a.writes.Add(1)%2 == 0 {
		return a.other
	}
	return a.Store
}

func (a *alternating) Create(ctx context.Context, terms *session.Terms, ref session.Ref, n session.New, key session.WriteKey) (session.Session, error) {
	return a.next().Create(ctx, terms, ref, n, key)
}

func (a *alternating) Replace(ctx context.Context, terms *session.Terms, ref session.Ref, c session.Content, ttl session.TTL, w session.Write) (session.Session, error) {
	return a.next().Replace(ctx, terms, ref, c, ttl, w)
}

func (a *alternating) Upsert(ctx context.Context, terms *session.Terms, ref session.Ref, c session.Content, ttl session.TTL, w session.Write) (session.Session, error) {
	return a.next().Upsert(ctx, terms, ref, c, ttl, w)
}

func (a *alternating) Patch(ctx context.Context, terms *session.Terms, ref session.Ref, p session.Patch, w session.Write) (session.Session, error) {
	return a.next().Patch(ctx, terms, ref, p, w)
}

func (a *alternating) Rotate(ctx context.Context, terms *session.Terms, ref session.Ref, rot session.Rotation, w session.Write) (session.Session, session.Ref, error) {
	return a.next().Rotate(ctx, terms, ref, rot, w)
}

func newStore(t testing.TB, c *cluster.Client, now func() time.Time) *session.RedisStore {
	return newStoreWith(t, c, session.Options{Now: now})
}

// newStoreWith fills in the log and the metrics.
func newStoreWith(t testing.TB, c *cluster.Client, o session.Options) *session.RedisStore {
	o.Log, o.Metrics = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	store := session.NewRedisStore(c, o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return store
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
		{"create", func() error { _, err := store.Create(ctx, nil, ref, n, ""); return err }, []string{"EVALSHA"}},
		{"get", func() error { _, err := store.Get(ctx, nil, ref); return err }, []string{"GET"}},
		{"replace", func() error {
			_, err := store.Replace(ctx, nil, ref, n.Content, session.TTL{}, session.Write{})
			return err
		}, []string{"EVALSHA"}},
		{"patch", func() error { _, err := store.Patch(ctx, nil, ref, patch, session.Write{}); return err }, []string{"GET", "EVALSHA"}},
		{"touch", func() error { _, err := store.Touch(ctx, nil, ref, session.TTL{}, session.Guard{}); return err }, []string{"EVALSHA"}},
		{"delete", func() error { return store.Delete(ctx, nil, ref, session.Deletion{}) }, []string{"EVALSHA"}},
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
	_, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
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
	s, err := store.Create(ctx, nil, ref, session.New{Content: content(`{"a":1}`)}, "")
	check("create", s, err, 1, `{"a":1}`)

	lossy.LoseNext(2)
	s, err = store.Replace(ctx, nil, ref, content(`{"a":2}`), session.TTL{}, session.Write{Guard: session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}}})
	check("replace", s, err, 2, `{"a":2}`)

	lossy.LoseNext(1)
	s, err = store.Patch(ctx, nil, ref, session.Patch(content(`{"b":3}`)), session.Write{})
	check("patch", s, err, 3, `{"a":2,"b":3}`)

	lossy.LoseNext(1)
	guard := session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}}
	if err := store.Delete(ctx, nil, ref, session.Deletion{Write: session.Write{Guard: guard}}); err != nil || !lossy.Lost() {
		t.Errorf("delete: %v, lost %t", err, lossy.Lost())
	}
}

// If no answer comes at all, the store promises that nothing was applied only if nothing was sent.
func TestNoAnswerAtAll(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	_, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	tenant := sessiontest.Tenant(t, "acme")
	if _, err := store.Create(t.Context(), nil, tenant.NewRef(""), session.New{}, ""); err != nil { // the node learns the script
		t.Fatal(err)
	}
	ref := tenant.NewRef("")
	lossy.LoseNext(1000)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := store.Create(ctx, nil, ref, session.New{}, ""); !errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("every answer lost: got %v", err)
	}
	lossy.LoseNext(0)
	if _, err := store.Peek(t.Context(), nil, ref); err != nil {
		t.Errorf("the write was applied, but: %v", err)
	}

	refused := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	_, down := embedded(t, cluster.Config{Access: peer.Access{Dial: refused}})
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := down.Create(ctx, nil, ref, session.New{}, ""); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("nobody there: got %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Create(over, nil, ref, session.New{}, ""); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("the deadline passed before the call: got %v", err)
	}
}

// A refusal after a lost answer says nothing about the first attempt.
func TestRefusedAfterLostAnswer(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	e, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	ref := sessiontest.Tenant(t, "acme").NewRef("")
	if _, err := store.Create(t.Context(), nil, ref, session.New{}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Replace(t.Context(), nil, ref, session.Content{}, session.TTL{}, session.Write{}); err != nil { // the node learns the script
		t.Fatal(err)
	}
	lossy.OnLoss = func() { e.SetError("OOM command not allowed when used memory > 'maxmemory'.") }
	lossy.LoseNext(1)
	_, err := store.Replace(t.Context(), nil, ref, session.Content{}, session.TTL{}, session.Write{})
	if !errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	if _, err := store.Replace(t.Context(), nil, ref, session.Content{}, session.TTL{}, session.Write{}); !errors.Is(err, cluster.ErrFull) {
		t.Errorf("got %v", err)
	}
	e.SetError("")
}

// The index of a user who never returns ends with the last session in it.
func TestIndexEndsWithItsSessions(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	ref := sessiontest.Tenant(t, "acme").NewRef("alice")
	n := session.New{User: "alice", TTL: session.TTL{Idle: time.Second, Max: 720 * time.Hour}}
	if _, err := store.Create(t.Context(), nil, ref, n, ""); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		e.Advance(900 * time.Millisecond)
		if _, err := store.Touch(t.Context(), nil, ref, session.TTL{}, session.Guard{}); err != nil {
			t.Fatal(err)
		}
	}
	if page, _, err := store.ListUser(t.Context(), nil, sessiontest.Tenant(t, "acme"), "alice", "", 10); err != nil || len(page) != 1 {
		t.Errorf("listed %v, %v", page, err)
	}
	e.Advance(time.Second + time.Millisecond)
	if keys := e.Keys(); len(keys) > 0 {
		t.Errorf("left %v", keys)
	}
}
