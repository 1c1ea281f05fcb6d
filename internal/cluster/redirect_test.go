package cluster_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// measured makes a client whose redirects can be counted.
func measured(t *testing.T, real *clustertest.Real) (c *cluster.Client, redirects func(kind string) int) {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg := real.Config()
	cfg.Metrics = registry
	c = cluster.New(cfg)
	t.Cleanup(func() { c.Close() })
	inStep(t, c)
	return c, func(kind string) int {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if f.GetName() == "sessiond_redis_redirects_total" && l.GetValue() == kind {
						n += int(m.GetCounter().GetValue())
					}
				}
			}
		}
		return n
	}
}

// A slot moves from redis-2 to redis-3, key by key and step by step. The redirects name addresses.
func TestRedirectsOnRealCluster(t *testing.T) { testRedirects(t, clustertest.Start(t)) }

// The same over TLS, where the redirects name hosts.
func TestRedirectsByNameOnRealCluster(t *testing.T) {
	real := clustertest.Start(t, clustertest.OverTLS(t))
	if err := raw(t, real, "redis-1").Get(t.Context(), keyOf(2, "elsewhere")).Err(); err == nil || !strings.HasSuffix(err.Error(), " redis-2.vm2:6379") {
		t.Fatalf("a redirect names no host: %v", err)
	}
	testRedirects(t, real)
}

func testRedirects(t *testing.T, real *clustertest.Real) {
	c, asked := measured(t, real)
	stale, movedOn := measured(t, real)
	source, target := raw(t, real, "redis-2"), raw(t, real, "redis-3")
	must := func(rdb *redis.Client, args ...any) string {
		t.Helper()
		v, err := rdb.Do(t.Context(), args...).Result()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		s, _ := v.(string)
		return s
	}
	key, stays, absent, fresh := keyOf(2, "gone"), keyOf(2, "stays"), keyOf(2, "absent"), keyOf(2, "fresh")
	slot := view.Slot(key)
	for _, k := range []string{key, stays} {
		if got := write(t, c, k, k, "", 5*time.Second); got.err != nil {
			t.Fatal(got.err)
		}
	}
	from, to := must(source, "CLUSTER", "MYID"), must(target, "CLUSTER", "MYID")
	must(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", from)
	must(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", to)
	host, port, _ := net.SplitHostPort(real.Addr(t, "redis-3"))
	must(source, "MIGRATE", host, port, "", 0, 5000, "KEYS", key)

	for _, k := range []string{key, stays} {
		if v, err := c.Get(within(t, 5*time.Second), nil, k); err != nil || string(v) != k {
			t.Errorf("during the move, %s: got %q, %v", k, v, err)
		}
		if got := write(t, c, k, k+"2", cluster.Replicated, 5*time.Second); got.err != nil || got.achieved != cluster.Replicated {
			t.Errorf("during the move, writing %s: got %q, %v", k, got.achieved, got.err)
		}
	}
	if v, err := c.Get(within(t, 5*time.Second), nil, absent); !errors.Is(err, cluster.ErrNil) {
		t.Errorf("during the move, an absent key: got %q, %v", v, err)
	}
	if got := write(t, c, fresh, fresh+"2", cluster.Async, 5*time.Second); got.err != nil {
		t.Errorf("during the move, a new key: %v", got.err)
	}
	// The reads of key and absent, and the first writes of key and fresh, each by digest and whole.
	if n := asked("ask"); n < 4 {
		t.Errorf("%d ASK redirects were followed", n)
	}
	// A script that accesses more than its keys runs neither on the source, without the keys that have moved, nor on the
	// target, ahead of those that have not.
	wide := func(declared, other string) error {
		script := cluster.NewScript("redis.call('SET', KEYS[1], 'x') return {redis.call('GET', ARGV[1])}").Widely()
		_, err := c.Run(within(t, 300*time.Millisecond), nil, script, []string{declared}, other)
		return err
	}
	if err := wide(key, stays); !errors.Is(err, cluster.ErrUnavailable) && !errors.Is(err, cluster.ErrOutcomeUnknown) { // if its time ends during an attempt
		t.Errorf("during the move, a wide script on a key that has moved: %v", err)
	}
	if v, err := c.Get(within(t, 5*time.Second), nil, key); err != nil || string(v) != key+"2" {
		t.Errorf("it ran ahead of its slot: got %q, %v", v, err)
	}
	if err := wide(stays, key); !errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("during the move, a wide script that comes upon a key that has moved: %v", err)
	}
	if got := write(t, c, stays, stays+"2", cluster.Replicated, 5*time.Second); got.err != nil {
		t.Fatal(got.err)
	}
	if n, _ := source.Exists(t.Context(), fresh).Result(); n != 0 {
		t.Error("the new key was made where the slot leaves")
	}
	must(source, "MIGRATE", host, port, "", 0, 5000, "KEYS", stays)

	// The other client has just heard that the slot is still at its old place.
	before := see(stale, "redis-2").Answered
	polltest.Eventually(t, "it has asked again", func() bool { return see(stale, "redis-2").Answered.After(before) })
	must(target, "CLUSTER", "SETSLOT", slot, "NODE", to)
	must(source, "CLUSTER", "SETSLOT", slot, "NODE", to)
	for _, k := range []string{key, stays, fresh} {
		if v, err := stale.Get(within(t, 5*time.Second), nil, k); err != nil || string(v) != k+"2" {
			t.Errorf("after the move, %s: got %q, %v", k, v, err)
		}
	}
	if got := write(t, stale, key, "3", cluster.Replicated, 5*time.Second); got.err != nil || got.achieved != cluster.Replicated {
		t.Errorf("after the move, writing: got %q, %v", got.achieved, got.err)
	}
	// On a slow machine the client may ask again before it reads. More slots move, without keys, until it was too late once.
	for empty := slot + 1; movedOn("moved") == 0 && empty < slot+30; empty++ {
		before := see(stale, "redis-2").Answered
		polltest.Eventually(t, "it has asked again", func() bool { return see(stale, "redis-2").Answered.After(before) })
		must(target, "CLUSTER", "SETSLOT", empty, "NODE", to)
		must(source, "CLUSTER", "SETSLOT", empty, "NODE", to)
		if _, err := stale.Get(within(t, 5*time.Second), nil, keyIn(empty)); !errors.Is(err, cluster.ErrNil) {
			t.Errorf("a key of a slot that has moved: %v", err)
		}
	}
	if n := movedOn("moved"); n == 0 {
		t.Error("no MOVED redirect was followed: the map was never stale")
	}
	for name, c := range map[string]*cluster.Client{"both": c, "all": stale} {
		polltest.Eventually(t, name+" know the slot's new place", func() bool { return told(c, watch.SlotsMoved) > 0 })
		if n := told(c, watch.Promoted); n != 0 {
			t.Errorf("a move of slots was told as %d promotions", n)
		}
	}
}

// While slots move under load, nothing fails.
func TestMovingSlotsUnderLoadOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	c := clientOf(t, real, 0)
	l := keepWriting(t, c, 2, "load")
	polltest.Eventually(t, "the load runs", func() bool { return l.len() > 50 })
	real.MoveSlots(t, "redis-2", "redis-3", 30)
	so := l.len()
	polltest.Eventually(t, "the load goes on", func() bool { return l.len() > so+50 })
	l.check(t, c)
}
