package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/keys"
)

const (
	placesPerCore = 8                      // enough to keep a core busy, if a node answers within a few milliseconds
	aloneAfter    = time.Minute            // without a request of another tenant, a tenant is alone
	idsPerPlace   = 64                     // of a batch
	workPatience  = 100 * time.Millisecond // after that, a request waits for something rather than being worked on
)

// Turns divide this instance among tenants. While several send requests, only so many are worked on at the same time as keep the
// cores busy. The others wait for a place, and a place that becomes free goes to the tenant that has the fewest for its weight. So
// a request waits for its own tenant's requests, and no longer for another's than these few take. Without that, all would wait in
// the run queue of the scheduler and in the queues of the nodes, which know no tenants or cannot put one before another.
//
// A tenant that is alone has no limit. What waits for something else, for a promotion or for its caller, takes no place for long:
// a shard that fails must not stop the others.
type turns struct {
	places   int
	last     atomic.Pointer[string] // the tenant whose request came last
	switched atomic.Int64           // when a request last came from another tenant than the one before, in Unix nanoseconds; 0 for never

	mu      sync.Mutex
	taken   int               // places; guarded by mu
	tenants map[string]*share // guarded by mu
	waiting []*share          // those with requests that wait, the one that had its turn last at the end; guarded by mu
}

// A share is what one tenant has of the places.
type share struct {
	weight int // guarded by turns.mu
	taken  int // guarded by turns.mu
	queue  []*place
}

// A place belongs to one request. Nil is that of a request without a limit.
type place struct {
	turns *turns
	share *share
	size  int           // a batch takes several places
	mine  chan struct{} // closed when the request has the place
	left  atomic.Bool
}

func newTurns(places int) *turns {
	if places == 0 {
		places = placesPerCore * runtime.GOMAXPROCS(0)
	}
	return &turns{places: places, tenants: map[string]*share{}}
}

// inTurn works on a request when its tenant's turn has come.
func (a *api) inTurn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.turns.take(r.Context(), grantOf(r), time.Now())
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if p == nil {
			next.ServeHTTP(w, r)
			return
		}
		defer p.hold()()
		callOf(r).place = p
		next.ServeHTTP(w, r)
	})
}

// placeOf is the request's place; nil if it has none.
func placeOf(r *http.Request) *place { return callOf(r).place }

// forBatch gives the request's place back, and waits for those that a batch of so many IDs takes: it is worked on by many
// goroutines at once. The caller must call leave.
func (a *api) forBatch(r *http.Request, ids int) (leave func(), err error) {
	single := placeOf(r)
	if single == nil {
		return func() {}, nil
	}
	single.leave()
	p, err := a.turns.wait(r.Context(), grantOf(r), (ids+idsPerPlace-1)/idsPerPlace)
	if err != nil {
		return nil, err
	}
	termsOf(r).Waits = p.leave
	return p.hold(), nil
}

// hold makes sure that the place is left after workPatience, and returns the function that leaves it before.
func (p *place) hold() (leave func()) {
	impatience := time.AfterFunc(workPatience, p.leave)
	return func() {
		impatience.Stop()
		p.leave()
	}
}

// take waits for a place, unless the tenant is alone.
func (t *turns) take(ctx context.Context, g *keys.Grant, now time.Time) (*place, error) {
	if t.alone(g.Tenant.Name(), now.UnixNano()) {
		return nil, nil
	}
	return t.wait(ctx, g, 1)
}

// wait waits for one or several places, or for all if there are not so many.
func (t *turns) wait(ctx context.Context, g *keys.Grant, size int) (*place, error) {
	p := t.ask(g, min(size, t.places))
	select {
	case <-p.mine:
		return p, nil
	case <-ctx.Done():
		t.giveUp(p)
		return nil, fmt.Errorf("%w: %w while waiting for a turn", cluster.ErrOverloaded, ctx.Err())
	}
}

// alone notes a request of the tenant, and reports whether no other has sent one lately.
func (t *turns) alone(tenant string, now int64) bool {
	if last := t.last.Load(); last == nil || *last != tenant {
		name := tenant // escapes only here
		if t.last.Swap(&name) != nil {
			t.switched.Store(now)
		}
	}
	switched := t.switched.Load()
	return switched == 0 || now-switched > int64(aloneAfter)
}

// ask takes a place if there is one, and otherwise queues.
func (t *turns) ask(g *keys.Grant, size int) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.tenants[g.Tenant.Name()]
	if s == nil {
		s = new(share)
		t.tenants[g.Tenant.Name()] = s
	}
	s.weight = g.Quota.Weight
	p := &place{turns: t, share: s, size: size, mine: make(chan struct{})}
	if len(s.queue) == 0 {
		t.waiting = append(t.waiting, s)
	}
	s.queue = append(s.queue, p)
	t.assign()
	return p
}

// assign gives the free places away. If they are too few for the request whose turn it is, they stay free for it. The caller
// holds mu.
func (t *turns) assign() {
	for len(t.waiting) > 0 {
		i := 0
		for j, s := range t.waiting {
			if s.taken*t.waiting[i].weight < t.waiting[i].taken*s.weight {
				i = j
			}
		}
		s := t.waiting[i]
		p := s.queue[0]
		if t.taken+p.size > t.places {
			return
		}
		s.queue = s.queue[1:]
		t.waiting = slices.Delete(t.waiting, i, i+1)
		if len(s.queue) > 0 {
			t.waiting = append(t.waiting, s)
		}
		t.taken += p.size
		s.taken += p.size
		close(p.mine)
	}
}

// leave gives the place to another request. Only the first call does something.
func (p *place) leave() {
	if p == nil || p.left.Swap(true) {
		return
	}
	p.turns.mu.Lock()
	defer p.turns.mu.Unlock()
	p.turns.taken -= p.size
	p.share.taken -= p.size
	p.turns.assign()
}

// giveUp ends the wait for a place, or leaves it if it has come in this moment.
func (t *turns) giveUp(p *place) {
	t.mu.Lock()
	i := slices.Index(p.share.queue, p)
	if i >= 0 {
		p.share.queue = slices.Delete(p.share.queue, i, i+1)
		if len(p.share.queue) == 0 {
			t.waiting = slices.DeleteFunc(t.waiting, func(s *share) bool { return s == p.share })
		}
	}
	t.assign() // it may have kept places free
	t.mu.Unlock()
	if i < 0 {
		p.leave()
	}
}

// queued is how many requests wait for a place.
func (t *turns) queued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.waiting {
		n += len(s.queue)
	}
	return n
}
