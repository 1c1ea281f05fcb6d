package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

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
