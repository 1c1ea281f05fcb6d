package session_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A readOnly node serves reads and, until it is told otherwise, no scripts: what a client sees of a shard whose master died.
func readOnly(e *clustertest.Embedded) (writable *atomic.Bool) {
	writable = new(atomic.Bool)
	e.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if (cmd == "EVALSHA" || cmd == "EVAL") && !writable.Load() {
			c.WriteError("CLUSTERDOWN The cluster is down")
			return true
		}
		return false
	})
	return writable
}

// The slide of a read is made good after a failover, however many tries that takes.
func TestSlideOverAFailover(t *testing.T) {
	for name, recover := range map[string]func(*session.RedisStore, *atomic.Bool){
		"a failover": func(_ *session.RedisStore, writable *atomic.Bool) { writable.Store(true) },
		"a failover and the end of the process": func(store *session.RedisStore, writable *atomic.Bool) {
			writable.Store(true)
			if err := store.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		e, store := embedded(t, cluster.Config{})
		ref := sessiontest.Tenant(t, "acme").NewRef("alice")
		if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice", TTL: session.TTL{Idle: 100 * time.Second}}, ""); err != nil {
			t.Fatal(err)
		}
		writable := readOnly(e)
		e.Advance(90 * time.Second)
		if _, err := store.Get(t.Context(), nil, ref); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			polltest.Eventually(t, "the touch has failed", func() bool { return session.FailedTouches(store) == 1 })
			polltest.Eventually(t, "the touch is tried again", func() bool { return session.FailedTouches(store) == 0 })
		}
		recover(store, writable)
		polltest.Eventually(t, "the session slides after "+name, func() bool {
			got, err := store.Peek(t.Context(), nil, ref)
			return err == nil && got.TouchedAt.Equal(e.Now().Truncate(time.Microsecond))
		})
		e.Advance(90 * time.Second)
		if _, err := store.Peek(t.Context(), nil, ref); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// Nobody tries to slide a session that cannot live any more.
func TestSlideIsGivenUpAtTheDeadline(t *testing.T) {
	c := newCounted(t, cluster.Config{})
	ref := c.tenant.NewRef("")
	if _, err := c.Create(t.Context(), nil, ref, session.New{TTL: session.TTL{Idle: time.Second}}, ""); err != nil {
		t.Fatal(err)
	}
	readOnly(c.Embedded)
	c.Advance(900 * time.Millisecond)
	if _, err := c.Get(t.Context(), nil, ref); err != nil {
		t.Fatal(err)
	}
	polltest.Eventually(t, "the touch is given up", func() bool { return c.touches("failed") == 1 })
	if n := session.FailedTouches(c.RedisStore); n != 0 {
		t.Errorf("%d touches wait", n)
	}
}

// The use of a session that a rotation made is noted after a failover too: then the old ID's late use is reuse.
func TestUseOverAFailover(t *testing.T) {
	c := newCounted(t, cluster.Config{})
	old := c.tenant.NewRef("")
	c.create(old)
	next := c.rotate(old, session.Rotation{Grace: time.Second})
	writable := readOnly(c.Embedded)
	if _, err := c.Peek(t.Context(), nil, next); err != nil {
		t.Fatal(err)
	}
	polltest.Eventually(t, "the note has failed", func() bool { return session.FailedTouches(c.RedisStore) == 1 })
	writable.Store(true)
	c.Advance(2 * time.Second)
	polltest.Eventually(t, "the use of the old ID is reuse", func() bool {
		_, err := c.Peek(t.Context(), nil, old)
		return err == session.ErrNotFound
	})
	c.want(map[string]float64{"reused": 1})
}

// A busy session costs a touch in each twentieth of its idle TTL, whatever the rate of reads.
func TestTouchesAreSuppressed(t *testing.T) {
	registry := prometheus.NewRegistry()
	e := clustertest.StartEmbedded(t)
	store := session.NewRedisStore(e.Client(t, cluster.Config{}), session.Options{Log: slog.New(slog.DiscardHandler), Metrics: registry, Now: e.Now})
	tenant := sessiontest.Tenant(t, "acme")
	ref := tenant.NewRef("")
	if _, err := store.Create(t.Context(), nil, ref, session.New{TTL: session.TTL{Idle: 100 * time.Second}}, ""); err != nil {
		t.Fatal(err)
	}
	for range 5 { // seconds: five percent are passed only after the fifth
		for range 100 {
			if _, err := store.Get(t.Context(), nil, ref); err != nil {
				t.Fatal(err)
			}
		}
		e.Advance(time.Second)
	}
	e.Advance(time.Millisecond)
	if _, err := store.Get(t.Context(), nil, ref); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `
		# HELP sessiond_touches_total Reads that may slide the idle deadline, by what became of the touch.
		# TYPE sessiond_touches_total counter
		sessiond_touches_total{outcome="sent"} 1
		sessiond_touches_total{outcome="suppressed"} 500
	`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "sessiond_touches_total"); err != nil {
		t.Error(err)
	}
	if got, err := store.Peek(t.Context(), nil, ref); err != nil || !got.TouchedAt.Equal(e.Now().Truncate(time.Microsecond)) {
		t.Errorf("touched at %s, %v, want %s", got.TouchedAt, err, e.Now())
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// An instance whose clock is wrong by hours slides as any other, and as seldom.
func TestSlidesByRedisClock(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * time.Hour, -100 * time.Second, 0, 3 * time.Hour} {
		registry := prometheus.NewRegistry()
		e := clustertest.StartEmbedded(t)
		now := func() time.Time { return e.Now().Add(wrong) }
		store := session.NewRedisStore(e.Client(t, cluster.Config{}), session.Options{Log: slog.New(slog.DiscardHandler), Metrics: registry, Now: now})
		ref := sessiontest.Tenant(t, "acme").NewRef("")
		other := newStore(t, e.Client(t, cluster.Config{}), e.Now)
		if _, err := other.Create(t.Context(), nil, ref, session.New{TTL: session.TTL{Idle: 100 * time.Second}}, ""); err != nil {
			t.Fatal(err)
		}
		touched := func() time.Time {
			s, err := store.Peek(t.Context(), nil, ref)
			if err != nil {
				t.Fatalf("wrong by %s: %v", wrong, err)
			}
			return s.TouchedAt
		}
		for range 5 { // the first read cannot know the time, and the others read when it is due
			before := touched()
			e.Advance(6 * time.Second)
			polltest.Eventually(t, "a read slides", func() bool {
				if _, err := store.Get(t.Context(), nil, ref); err != nil {
					t.Fatal(err)
				}
				return touched().After(before)
			})
			for range 100 {
				if _, err := store.Get(t.Context(), nil, ref); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := store.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := touches(t, registry, "sent"); got != 5 {
			t.Errorf("wrong by %s: %v touches, want 5", wrong, got)
		}
	}
}

// When Redis is out of memory, a touch still slides the idle deadline, but one with new TTLs fails: nothing could store them.
func TestTouchOutOfMemory(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	ref := sessiontest.Tenant(t, "acme").NewRef("")
	created, err := store.Create(t.Context(), nil, ref, session.New{TTL: session.TTL{Idle: time.Minute}}, "")
	if err != nil {
		t.Fatal(err)
	}
	full := atomic.Bool{}
	e.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd == "SETRANGE" && full.Load() {
			c.WriteError("OOM command not allowed when used memory > 'maxmemory'.")
			return true
		}
		return false
	})
	touch := func(ttl session.TTL) (session.Session, error) {
		return store.Touch(t.Context(), nil, ref, ttl, session.Guard{})
	}
	full.Store(true)
	e.Advance(50 * time.Second)
	for _, ttl := range []session.TTL{{Idle: time.Hour}, {Max: time.Hour}} {
		if _, err := touch(ttl); !errors.Is(err, cluster.ErrFull) {
			t.Errorf("%+v: got %v", ttl, err)
		}
	}
	slid, err := touch(session.TTL{})
	if err != nil || !slid.IdleExpiresAt().After(created.IdleExpiresAt()) {
		t.Errorf("slid to %s, %v, after %s", slid.IdleExpiresAt(), err, created.IdleExpiresAt())
	}
	e.Advance(50 * time.Second)
	if got, err := store.Peek(t.Context(), nil, ref); err != nil || got.IdleTTL != time.Minute || !got.ExpiresAt.Equal(created.ExpiresAt) {
		t.Errorf("got %+v, %v", got, err)
	}
	full.Store(false)
	if got, err := touch(session.TTL{Idle: time.Hour}); err != nil || got.IdleTTL != time.Hour {
		t.Errorf("got %s, %v", got.IdleTTL, err)
	}
}
