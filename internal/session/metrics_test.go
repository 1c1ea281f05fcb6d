package session_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A counted is a store with the registry and the log that tell what it did.
type counted struct {
	*session.RedisStore
	*clustertest.Embedded
	t        *testing.T
	registry *prometheus.Registry
	log      *strings.Builder
	tenant   *session.Tenant
}

func newCounted(t *testing.T, config cluster.Config) *counted {
	c := &counted{
		Embedded: clustertest.StartEmbedded(t), t: t, registry: prometheus.NewRegistry(), log: new(strings.Builder),
		tenant: sessiontest.Tenant(t, "acme"),
	}
	c.RedisStore = session.NewRedisStore(c.Client(t, config), session.Options{
		Log: slog.New(slog.NewTextHandler(c.log, nil)), Metrics: c.registry, Now: c.Now,
	})
	t.Cleanup(func() { c.RedisStore.Close(context.Background()) })
	return c
}

func (c *counted) create(ref session.Ref) {
	c.t.Helper()
	if _, err := c.Create(c.t.Context(), nil, ref, session.New{}, ""); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counted) rotate(ref session.Ref, rot session.Rotation) session.Ref {
	c.t.Helper()
	_, next, err := c.Rotate(c.t.Context(), nil, ref, rot, session.Write{})
	if err != nil {
		c.t.Fatal(err)
	}
	return next
}

// want checks counters of the tenant.
func (c *counted) want(counters map[string]float64) {
	c.t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	for name, want := range counters {
		if got["sessiond_sessions_"+name+"_total"] != want {
			c.t.Errorf("%s: got %v, want %v", name, got["sessiond_sessions_"+name+"_total"], want)
		}
	}
}

func (c *counted) touches(outcome string) float64 { return touches(c.t, c.registry, outcome) }

// touches counts those with the outcome.
func touches(t *testing.T, r *prometheus.Registry, outcome string) (n float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "sessiond_touches_total" && m.GetLabel()[0].GetValue() == outcome {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// An old ID that is used after its session has ended is no reuse, however it ended.
func TestNoReuseAfterTheEnd(t *testing.T) {
	for how, end := range map[string]func(c *counted, ref session.Ref){
		"a logout": func(c *counted, ref session.Ref) {
			if err := c.Delete(t.Context(), nil, ref, session.Deletion{}); err != nil {
				t.Fatal(err)
			}
		},
		"expiry":  func(c *counted, _ session.Ref) { c.Advance(sessiontest.Policy.DefaultIdle) },
		"a login": func(c *counted, ref session.Ref) { c.rotate(ref, session.Rotation{User: "alice"}) },
	} {
		c := newCounted(t, cluster.Config{})
		old := c.tenant.NewRef("")
		c.create(old)
		end(c, c.rotate(c.rotate(old, session.Rotation{Grace: time.Second}), session.Rotation{Grace: time.Second}))
		c.Advance(2 * time.Second)
		if _, err := c.Peek(t.Context(), nil, old); err != session.ErrNotFound {
			t.Errorf("after %s: got %v", how, err)
		}
		c.want(map[string]float64{"reused": 0})
		if c.log.Len() > 0 {
			t.Errorf("after %s: logged %s", how, c.log)
		}
	}
}

// Reuse is counted once, even if the answer to the revocation is lost.
func TestReuseIsCounted(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	c := newCounted(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	old := c.tenant.NewRef("")
	c.create(old)
	next := c.rotate(old, session.Rotation{Grace: time.Second})
	if _, err := c.Touch(t.Context(), nil, next, session.TTL{}, session.Guard{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), nil, c.tenant.NewRef(""), session.Deletion{}); err != nil { // the node learns the script
		t.Fatal(err)
	}
	c.Advance(2 * time.Second)
	lossy.LoseNext(2)
	for range 2 {
		if _, err := c.Peek(t.Context(), nil, old); err != session.ErrNotFound {
			t.Errorf("got %v", err)
		}
	}
	if !lossy.Lost() {
		t.Error("no answer was lost")
	}
	c.want(map[string]float64{"reused": 1})
}

// What happens is counted once, for all the requests and attempts that it takes, and nothing is counted where nothing happens.
func TestCounters(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	c := newCounted(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lost := func() { // call it when the node knows the script
		if !lossy.Lost() {
			t.Helper()
			t.Error("no answer was lost")
		}
	}
	create := func(ref session.Ref, key session.WriteKey) {
		t.Helper()
		_, err := c.Create(ctx, nil, ref, session.New{}, key)
		must(err)
	}
	first := c.tenant.NewRef("")
	create(first, "k")
	create(first, "k")
	if _, err := c.Create(ctx, nil, first, session.New{}, ""); err != session.ErrExists {
		t.Errorf("got %v", err)
	}
	c.want(map[string]float64{"created": 1})
	lossy.LoseNext(1)
	create(c.tenant.NewRef(""), "")
	lost()
	c.want(map[string]float64{"created": 2})

	own, err := c.tenant.ParseRef("library.0123456789abcdef")
	must(err)
	upsert := func(ref session.Ref, key session.WriteKey) {
		t.Helper()
		_, err := c.Upsert(ctx, nil, ref, session.Content{}, session.TTL{}, session.Write{Key: key})
		must(err)
	}
	upsert(own, "k")
	upsert(own, "k")
	upsert(own, "")
	c.want(map[string]float64{"created": 3})

	for range 2 {
		must(c.Delete(ctx, nil, c.tenant.NewRef(""), session.Deletion{}))
		must(c.RevokeHandle(ctx, nil, "alice", c.tenant.NewRef("alice").Handle))
		must(c.DeleteMany(ctx, nil, []session.Ref{c.tenant.NewRef("")})[0])
	}
	c.want(map[string]float64{"revoked": 0})
	for range 2 {
		must(c.Delete(ctx, nil, first, session.Deletion{Write: session.Write{Key: "k"}}))
	}
	c.want(map[string]float64{"revoked": 1})
	lossy.LoseNext(1)
	must(c.Delete(ctx, nil, own, session.Deletion{Forget: true}))
	lost()
	for range 2 {
		must(c.Delete(ctx, nil, own, session.Deletion{Forget: true}))
	}
	c.want(map[string]float64{"revoked": 2})

	// A login moves a session. One that is too late leaves nothing behind and counts nothing.
	anonymous := c.tenant.NewRef("")
	create(anonymous, "")
	c.rotate(anonymous, session.Rotation{User: "alice"})
	for range 2 {
		if _, _, err := c.Rotate(ctx, nil, anonymous, session.Rotation{User: "alice"}, session.Write{}); err != session.ErrNotFound {
			t.Errorf("got %v", err)
		}
	}
	c.want(map[string]float64{"created": 4, "revoked": 2, "rotated": 1})
}
