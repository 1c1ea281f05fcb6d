package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// prepareWorkers is how many sessions are created, or read back, at a time.
const prepareWorkers = 64

// A Generator makes the load. Call Prepare first, then Run any number of times, then Sweep, one at a time. Report may be
// called at any time.
type Generator struct {
	cfg        Config
	client     *client
	headers    headers
	pool       *pool
	users      []string
	padding    string
	rotateBody []byte
	rand       *rand.Rand // the dispatcher's
	draw       func() int // a seat by the distribution of keys
	pickOp     func() Op
	recorder   *recorder
	inFlight   atomic.Int64
	abandoned  atomic.Int64
	named      atomic.Bool // an answer has shown the handle that the tenant gives to its session
}

// New checks the configuration. It sends no requests, except for readiness checks if there are any.
func New(cfg Config) (*Generator, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	prefix := cfg.UserPrefix
	if prefix == "" {
		prefix = fmt.Sprintf("load-%08x-", rand.Uint32())
	}
	g := &Generator{
		cfg: cfg, client: c, headers: newHeaders(cfg, c.bearer), recorder: newRecorder(cfg.Timeout),
		rand: rand.New(rand.NewPCG(seed, 0)), rotateBody: []byte(`{"grace":"` + cfg.Grace.String() + `"}`),
	}
	longest := 0
	for _, size := range cfg.PayloadSizes {
		longest = max(longest, size)
	}
	g.padding = padding(g.rand, longest)
	for i := range cfg.Users {
		g.users = append(g.users, fmt.Sprint(prefix, i))
	}
	g.pool = newPool(cfg, g.users)
	g.draw = keys(g.rand, cfg.Sessions, cfg.Zipf)
	g.pickOp = operations(g.rand, cfg.Mix)
	return g, nil
}

// padding is text that needs no escapes in JSON and does not compress well.
func padding(r *rand.Rand, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	var b strings.Builder
	for range n {
		b.WriteByte(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// keys draws seats uniformly, or by Zipf's law. The popular seats stay the same during the load, and are spread at random.
func keys(r *rand.Rand, n int, exponent float64) func() int {
	if exponent == 0 {
		return func() int { return r.IntN(n) }
	}
	zipf, places := rand.NewZipf(r, exponent, 1, uint64(n-1)), r.Perm(n)
	return func() int { return places[zipf.Uint64()] }
}

func operations(r *rand.Rand, mix Mix) func() Op {
	weights := mix.weights()
	total := 0.0
	for _, w := range weights {
		total += w
	}
	return func() Op {
		x, last := r.Float64()*total, Op(0)
		for op, w := range weights {
			if w == 0 {
				continue
			}
			if last = Op(op); x < w {
				break
			}
			x -= w
		}
		return last
	}
}

// Prepare creates the sessions. It fails if one cannot be created in three tries. Its requests are in the ledger, but not in
// the report.
func (g *Generator) Prepare(ctx context.Context) error {
	jobs := make(chan plan)
	failed := make(chan error, prepareWorkers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range prepareWorkers {
		wg.Go(func() {
			for p := range jobs {
				if err := g.prepareOne(ctx, p); err != nil {
					failed <- err
					cancel()
					return
				}
			}
		})
	}
	for p, ok := g.vacancy(); ok && ctx.Err() == nil; p, ok = g.vacancy() {
		select {
		case jobs <- p:
		case <-ctx.Done():
			g.pool.put(p.seat, seat{})
		}
	}
	close(jobs)
	wg.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	return ctx.Err()
}

// vacancy plans a session for an empty seat.
func (g *Generator) vacancy() (plan, bool) {
	i, at, ok := g.pool.empty()
	return plan{op: Create, seat: i, at: at, size: g.cfg.PayloadSizes[i%len(g.cfg.PayloadSizes)]}, ok
}

func (g *Generator) prepareOne(ctx context.Context, p plan) error {
	for try := 1; ; try++ {
		p.intended = time.Now()
		r := g.execute(ctx, p)
		if !r.Failed {
			return nil
		}
		if try == 3 || ctx.Err() != nil {
			return fmt.Errorf("load: a session cannot be created: %s", r)
		}
		var ok bool
		if p, ok = g.vacancy(); !ok { // another took the seat that was given back
			return nil
		}
	}
}

// size draws the length of a payload. Dispatcher only.
func (g *Generator) size() int { return g.cfg.PayloadSizes[g.rand.IntN(len(g.cfg.PayloadSizes))] }

// Run makes the load until its duration or the context ends, and returns when every request has ended. When the context
// ends, no further requests are sent, and those in flight go on.
func (g *Generator) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	requests := context.WithoutCancel(ctx)
	limit := g.cfg.Duration
	if limit == 0 {
		limit = 1 << 62
	}
	start := time.Now()
	g.recorder.begin(start)
	for at, area := time.Duration(0), g.gap(); at < limit; {
		// A pause is searched one second at a time, so that the context can end it.
		next, rest := g.cfg.Rate.next(at, area, min(limit, at+time.Second))
		if !g.await(ctx, start.Add(next)) {
			return
		}
		if at, area = next, rest; rest == 0 && at < limit {
			g.arrive(requests, &wg, start.Add(at))
			area = g.gap()
		}
	}
}

// await waits for an arrival. With Together it waits longer, so that arrivals due in the meantime start with it.
func (g *Generator) await(ctx context.Context, at time.Time) bool {
	if d := time.Until(at); d > 0 && d < g.cfg.Together {
		at = at.Add(g.cfg.Together - d)
	}
	return sleepUntil(ctx, at)
}

// gap returns the area under the rate between two arrivals.
func (g *Generator) gap() float64 {
	if g.cfg.Poisson {
		return max(g.rand.ExpFloat64(), 1e-9)
	}
	return 1
}

// sleepUntil reports false if the context ended first.
func sleepUntil(ctx context.Context, at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// arrive starts one request, or counts it as not sent.
func (g *Generator) arrive(ctx context.Context, wg *sync.WaitGroup, intended time.Time) {
	op := g.pickOp()
	if g.inFlight.Load() >= int64(g.cfg.MaxInFlight) {
		g.recorder.notSentAt(op, intended, tooMany)
		return
	}
	p, ok := g.plan(op, intended)
	if !ok {
		g.recorder.notSentAt(op, intended, noSession)
		return
	}
	g.inFlight.Add(1)
	wg.Go(func() {
		defer g.inFlight.Add(-1)
		r := g.execute(ctx, p)
		g.recorder.record(r)
		if g.cfg.Observe != nil {
			g.cfg.Observe(r)
		}
	})
}

// plan decides everything that is random.
func (g *Generator) plan(op Op, intended time.Time) (plan, bool) {
	p := plan{op: op, intended: intended, seat: -1, size: g.size(), guarded: g.rand.Float64() < g.cfg.Guarded}
	ok := true
	switch op {
	case List:
		p.at.user = g.users[g.rand.IntN(len(g.users))]
	case Read:
		if g.rand.Float64() < g.cfg.Revisit {
			if p.at.id, ok = g.pool.revisit(g.rand, intended); ok {
				return p, true
			}
		}
		p.seat, p.at, ok = g.pool.look(g.draw, intended)
	case Create:
		p.seat, p.at, ok = g.pool.vacate(g.draw)
	default:
		p.seat, p.at, ok = g.pool.take(g.draw)
		if ok && !p.at.turnBy.IsZero() {
			if p.op = Rotate; intended.After(p.at.turnBy) {
				g.abandon(p.at.id)
				g.pool.put(p.seat, seat{})
				return g.plan(op, intended)
			}
		}
	}
	return p, ok
}

// Report returns the measurements so far.
func (g *Generator) Report() Report {
	r := g.recorder.report()
	r.InFlight, r.Abandoned, r.Sessions = int(g.inFlight.Load()), int(g.abandoned.Load()), g.pool.live()
	r.Ledger = g.cfg.Ledger.Summary()
	return r
}

// Close closes the idle connections.
func (g *Generator) Close() { g.client.close() }
