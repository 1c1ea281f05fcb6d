package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A crowd takes places for tenants, each in a goroutine of its own.
type crowd struct {
	*turns
	t      *testing.T
	grants map[string]*keys.Grant
	served chan *place
}

func newCrowd(t *testing.T, places int, weights map[string]int) *crowd {
	c := &crowd{newTurns(places), t, map[string]*keys.Grant{}, make(chan *place, 1000)}
	for tenant, weight := range weights {
		g, err := keys.NewGrant(tenant, 0, keys.Limits{Policy: sessiontest.Policy, MaxBody: 1, Quota: keys.Quota{Weight: weight}})
		if err != nil {
			t.Fatal(err)
		}
		c.grants[tenant] = &g
	}
	return c
}

func (c *crowd) send(tenant string, n int) {
	for range n {
		go func() {
			p, err := c.take(c.t.Context(), c.grants[tenant], time.Now())
			if err == nil {
				c.served <- p
			}
		}()
		synctest.Wait()
	}
}

// next is the tenant of the next request that got a place, which it keeps for the caller.
func (c *crowd) next() (tenant string, p *place) {
	c.t.Helper()
	synctest.Wait()
	select {
	case p = <-c.served:
	default:
		c.t.Fatal("nobody got a place")
	}
	for name := range c.grants {
		if p != nil && c.tenants[name] == p.share {
			tenant = name
		}
	}
	return tenant, p
}

// A tenant that is alone has no limit, also after others were there, for a while.
func TestAloneThereIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1, map[string]int{"acme": 1, "other": 1})
		c.send("acme", 50)
		for range 50 {
			if _, p := c.next(); p != nil {
				t.Fatal("a place was needed")
			}
		}
		c.send("other", 1)
		_, p := c.next()
		if p == nil {
			t.Error("the second tenant needs no place")
		}
		p.leave()
		time.Sleep(aloneAfter + time.Second)
		c.send("other", 50)
		if c.queued() != 0 {
			t.Errorf("%d wait although no other tenant has sent anything for a minute", c.queued())
		}
	})
}

// A tenant that is alone pays nothing.
func TestAloneCostsNothing(t *testing.T) {
	c := newCrowd(t, 1, map[string]int{"acme": 1})
	cost := testing.AllocsPerRun(100, func() {
		if _, err := c.take(t.Context(), c.grants["acme"], time.Now()); err != nil {
			t.Fatal(err)
		}
	})
	if cost != 0 {
		t.Errorf("%v allocations", cost)
	}
}

// However many requests of one tenant wait, the next free place is that of a tenant which has fewer for its weight.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 6, map[string]int{"greedy": 1, "heavy": 2, "light": 1})
		c.send("light", 1) // it is alone
		c.next()
		c.send("greedy", 100)
		held := map[string][]*place{}
		for range 6 {
			tenant, p := c.next()
			held[tenant] = append(held[tenant], p)
		}
		if len(held["greedy"]) != 6 || c.queued() != 94 {
			t.Fatalf("the only one that wants places has %d, and %d wait", len(held["greedy"]), c.queued())
		}
		c.send("light", 1)
		held["greedy"][0].leave()
		tenant, p := c.next()
		if tenant != "light" {
			t.Fatalf("%s got the place that became free", tenant)
		}
		p.leave()
		c.next()
		c.send("heavy", 100)
		c.send("light", 100)
		for range 50 { // six places each time, since the one that leaves is replaced
			for name := range c.grants {
				if s := c.tenants[name]; s.taken > 0 {
					(&place{turns: c.turns, share: s, size: 1}).leave()
					c.next()
				}
			}
		}
		if g, h, l := c.tenants["greedy"].taken, c.tenants["heavy"].taken, c.tenants["light"].taken; g+h+l != 6 || h < 2 || g > 2 || l > 2 {
			t.Errorf("of six places, greedy has %d, light %d, and heavy, with twice their weight, %d", g, l, h)
		}
	})
}

// A tenant with a thousand callers waits for itself. A neighbour waits no longer than until the next of its requests is done.
func TestGreedyTenantWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places, work = 8, 4 * time.Millisecond
		c := newCrowd(t, places, map[string]int{"greedy": 1, "neighbour": 1})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var served atomic.Int64
		var callers sync.WaitGroup
		defer callers.Wait()
		call := func(tenant string) (waited time.Duration) {
			began := time.Now()
			p, err := c.take(ctx, c.grants[tenant], began)
			if err != nil {
				return 0 // the end
			}
			waited = time.Since(began)
			time.Sleep(work)
			p.leave()
			return waited
		}
		call("neighbour")
		for range 1000 {
			callers.Go(func() {
				for ctx.Err() == nil {
					call("greedy")
					served.Add(1)
				}
			})
		}
		for ctx.Err() == nil {
			time.Sleep(7 * time.Millisecond)
			if waited := call("neighbour"); waited > work {
				t.Errorf("the neighbour waited for %s", waited)
				cancel()
			}
		}
		if n := served.Load(); n < 3000 && !t.Failed() { // 8 places for 2 s are 4000
			t.Errorf("the greedy tenant was served %d times only: places were left empty", n)
		}
	})
}

// A batch takes more places than one, or all. Places are kept free for it, also from other requests of its tenant.
func TestBatchesTakeSeveralPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 4, map[string]int{"acme": 1, "other": 1})
		c.send("other", 1) // it is alone
		c.next()
		c.send("acme", 2)
		_, first := c.next()
		_, second := c.next()
		batch := func(ctx context.Context, tenant string) {
			go func() {
				if p, err := c.wait(ctx, c.grants[tenant], 9); err == nil {
					c.served <- p
				}
			}()
			synctest.Wait()
		}
		batch(t.Context(), "other")
		c.send("acme", 1)
		first.leave()
		if synctest.Wait(); c.taken != 1 {
			t.Fatalf("%d places are taken while a batch waits for all", c.taken)
		}
		second.leave()
		tenant, p := c.next()
		if tenant != "other" || c.taken != 4 || c.queued() != 1 {
			t.Fatalf("%s has its turn, %d places are taken, and %d wait", tenant, c.taken, c.queued())
		}
		ctx, cancel := context.WithCancel(t.Context())
		c.send("acme", 3)
		batch(ctx, "other")
		p.leave()
		if c.next(); c.taken != 1 || c.queued() != 4 {
			t.Errorf("%d places are taken, and %d wait, one of them a batch whose turn it is", c.taken, c.queued())
		}
		cancel()
		if synctest.Wait(); c.taken != 4 || c.queued() != 0 {
			t.Errorf("after the batch has left the queue, %d places are taken, and %d wait", c.taken, c.queued())
		}
	})
}

// A request whose caller goes, or whose deadline passes, leaves the queue, and takes no place with it.
func TestGivingUpATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1, map[string]int{"acme": 1, "other": 1})
		c.send("acme", 1)
		c.next()
		c.send("other", 1)
		_, p := c.next()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.take(ctx, c.grants["acme"], time.Now()); !errors.Is(err, cluster.ErrOverloaded) {
			t.Errorf("got %v", err)
		}
		if c.queued() != 0 || len(c.waiting) != 0 {
			t.Errorf("%d wait in the end", c.queued())
		}
		p.leave()
		p.leave()
		c.send("acme", 2)
		if _, p := c.next(); p == nil || c.taken != 1 || c.queued() != 1 {
			t.Errorf("%d places are taken and %d wait", c.taken, c.queued())
		}
		late := c.tenants["acme"].queue[0]
		(&place{turns: c.turns, share: c.tenants["acme"], size: 1}).leave() // the place comes in the moment in which its request gives up
		c.giveUp(late)
		if c.taken != 0 {
			t.Errorf("%d places are taken by nobody", c.taken)
		}
	})
}

// stalledStore waits in Get until the test says otherwise, as for a promotion if the terms are to be told.
type stalledStore struct {
	session.Store
	tells   bool
	stalled chan struct{}
	answer  chan struct{}
}

func (s *stalledStore) Get(ctx context.Context, terms *session.Terms, ref session.Ref) (session.Session, error) {
	if s.tells {
		terms.Waits()
	}
	s.stalled <- struct{}{}
	<-s.answer
	return session.Session{}, session.ErrNotFound
}

// What waits for a promotion gives its place away at once, and what takes long for any other reason does so a little later.
func TestStallsTakeNoPlace(t *testing.T) {
	for _, tells := range []bool{true, false} {
		s := &stalledStore{tells: tells, stalled: make(chan struct{}), answer: make(chan struct{})}
		f := newFixture(t, func(c *Config) { s.Store, c.Store, c.Places = c.Store, s, 1 })
		f.setQuota("other", keys.Quota{})
		f.do("POST", "/v1/sessions", "{}").want(http.StatusCreated)
		f.setQuota("acme", keys.Quota{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/sessions/0000000000000000000000", nil))
		}()
		<-s.stalled
		f.do("POST", "/v1/sessions", "{}").want(http.StatusCreated)
		close(s.answer)
		<-done
	}
}

// A batch waits for places by the number of its IDs, gives back the one that its request had, and leaves them while it waits for
// the cluster.
func TestPlacesForABatch(t *testing.T) {
	c := newCrowd(t, 20, map[string]int{"acme": 1})
	grant := c.grants["acme"]
	single, err := c.wait(t.Context(), grant, 1)
	if err != nil {
		t.Fatal(err)
	}
	batch := &call{grant: *grant, place: single}
	r := httptest.NewRequest("POST", "/v1/sessions:batchGet", nil).WithContext(context.WithValue(t.Context(), callKey{}, batch))
	a := &api{turns: c.turns}
	leave, err := a.forBatch(r, maxBatch)
	if err != nil || c.taken != 8 {
		t.Errorf("a batch has %d places: %v", c.taken, err)
	}
	batch.preferences.terms.Waits()
	if c.taken != 0 {
		t.Errorf("a batch that waits has %d places", c.taken)
	}
	leave()
	single.leave()
	if c.taken != 0 {
		t.Errorf("%d places are taken in the end", c.taken)
	}
	batch.place = nil
	if leave, err = a.forBatch(r, maxBatch); err != nil || c.taken != 0 {
		t.Errorf("a batch without a limit has %d places: %v", c.taken, err)
	}
	leave()
}
