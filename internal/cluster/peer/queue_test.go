package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/polltest"
)

// A line is a queue whose node answers when the test tells it to.
type line struct {
	queue
	batches chan []*Attempt // as they are sent
	answer  chan struct{}   // one for each batch that may be answered
}

func newLine() *line {
	l := &line{batches: make(chan []*Attempt, 1000), answer: make(chan struct{})}
	l.send = func(as []*Attempt) {
		l.batches <- as
		<-l.answer
		FinishAll(as, nil)
	}
	return l
}

func (l *line) finishAll() { close(l.answer) }

func someAttempts(t *testing.T, n int) []*Attempt {
	attempts := make([]*Attempt, n)
	for i := range attempts {
		attempts[i] = NewAttempt(t.Context(), redis.NewStringCmd(t.Context(), "get", i))
	}
	return attempts
}

// busyLine has a command on each lane.
func busyLine(t *testing.T) *line {
	l := newLine()
	for _, a := range someAttempts(t, lanes) {
		l.submit(a)
		synctest.Wait()
	}
	return l
}

func TestIdleQueueSendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		for _, a := range someAttempts(t, lanes) {
			l.submit(a)
			synctest.Wait()
			if got := <-l.batches; len(got) != 1 || got[0] != a {
				t.Fatalf("an idle lane sent %d", len(got))
			}
		}
		l.finishAll()
	})
}

func TestQueueSendsTogetherWhatQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := busyLine(t)
		queued := someAttempts(t, batchSize+5)
		for _, a := range queued {
			l.submit(a)
		}
		synctest.Wait()
		if len(l.batches) != lanes || l.waiting() != len(queued) {
			t.Fatalf("%d batches are under way and %d commands wait", len(l.batches), l.waiting())
		}
		for range lanes {
			<-l.batches
		}
		l.answer <- struct{}{}
		first := <-l.batches
		l.answer <- struct{}{}
		second := <-l.batches
		if len(first) != batchSize || len(second) != 5 {
			t.Errorf("the queue went in batches of %d and %d", len(first), len(second))
		}
		for i, a := range append(first, second...) {
			if a != queued[i] {
				t.Fatalf("the order was not kept at %d", i)
			}
		}
		l.finishAll()
		synctest.Wait()
		for _, a := range queued {
			if err, doubt := a.Wait(); err != nil || doubt {
				t.Fatalf("got %v, %t", err, doubt)
			}
		}
		if l.busy != 0 || l.waiting() != 0 {
			t.Errorf("%d lanes are busy in the end", l.busy)
		}
	})
}

func TestAbandonedBeforeItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		l.submit(someAttempts(t, 1)[0])
		synctest.Wait()
		l.submit(someAttempts(t, 1)[0])
		synctest.Wait()
		l.submit(someAttempts(t, 1)[0])
		synctest.Wait()
		for range lanes {
			<-l.batches
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := NewAttempt(ctx, redis.NewStringCmd(ctx, "get", "gone"))
		stays := someAttempts(t, 1)[0]
		l.submit(gone)
		l.submit(stays)
		cancel()
		if err, doubt := gone.Wait(); !errors.Is(err, context.Canceled) || doubt {
			t.Errorf("got %v, in doubt %t", err, doubt)
		}
		l.finishAll()
		synctest.Wait()
		if got := <-l.batches; len(got) != 1 || got[0] != stays || len(l.batches) != 0 {
			t.Errorf("%d were sent, the abandoned one among them", len(got))
		}
	})
}

func TestAbandonedAfterItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		ctx, cancel := context.WithCancel(t.Context())
		a := NewAttempt(ctx, redis.NewStringCmd(ctx, "get", "x"))
		l.submit(a)
		synctest.Wait()
		cancel()
		if err, doubt := a.Wait(); !errors.Is(err, context.Canceled) || !doubt {
			t.Errorf("got %v, in doubt %t", err, doubt)
		}
		l.finishAll()
	})
}

// Whether an attempt that is over may have been executed.
func TestWaitTellsDoubt(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		doubt bool
	}{
		{"executed", nil, false},
		{"refused by the node", reply("CLUSTERDOWN The cluster is down"), false},
		{"no connection", errNoTraffic, false},
		{"refused by the breaker", &net.OpError{Op: "dial", Err: errBreakerOpen}, false},
		{"overloaded", ErrOverloaded, false},
		{"the connection broke", io.EOF, true},
		{"the answer did not come", &net.OpError{Op: "read", Err: io.EOF}, true},
		{"the WAIT was refused", Unconfirmed(reply("ERR WAIT cannot be used with replica instances")), true},
	} {
		a := NewAttempt(t.Context(), redis.NewStringCmd(t.Context(), "get", "x"))
		a.Finish(c.err)
		if err, doubt := a.Wait(); err != c.err || doubt != c.doubt {
			t.Errorf("%s: got %v, in doubt %t", c.name, err, doubt)
		}
	}
}

// An outcome that came in the moment in which the caller's time was up is known.
func TestWaitPrefersTheOutcome(t *testing.T) {
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		a := NewAttempt(ctx, redis.NewStringCmd(ctx, "get", "x"))
		a.progress.Store(sent)
		a.Finish(nil)
		cancel()
		if err, doubt := a.Wait(); err != nil || doubt {
			t.Fatalf("got %v, in doubt %t", err, doubt)
		}
	}
}

func TestFullBacklogRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := busyLine(t)
		for _, a := range someAttempts(t, backlog-1) {
			l.submit(a)
		}
		last, refused := someAttempts(t, 1)[0], someAttempts(t, 1)[0]
		l.submit(last)
		l.submit(refused)
		if err, doubt := refused.Wait(); !errors.Is(err, ErrOverloaded) || doubt {
			t.Errorf("got %v, in doubt %t", err, doubt)
		}
		if got := l.waiting(); got != backlog {
			t.Errorf("%d wait, want %d", got, backlog)
		}
		l.finishAll()
		if err, _ := last.Wait(); err != nil {
			t.Errorf("the last that had room: %v", err)
		}
	})
}

// A turn that a full batch cuts off goes on in the next one.
func TestTurnsGoOnInTheNextBatch(t *testing.T) {
	const rounds = 7
	synctest.Test(t, func(t *testing.T) {
		l := busyLine(t)
		for range lanes {
			<-l.batches
		}
		for _, owner := range []string{"one", "other"} {
			for _, a := range someAttempts(t, rounds*batchSize) {
				a.Owner, a.Weight = owner, 100 // a batch has no room for two turns
				l.submit(a)
			}
		}
		counts := map[string]int{}
		for range rounds {
			l.answer <- struct{}{}
			for _, a := range <-l.batches {
				counts[a.Owner]++
			}
		}
		if d := counts["one"] - counts["other"]; d < -100 || d > 100 {
			t.Errorf("two owners of the same weight got %v", counts)
		}
		l.finishAll()
	})
}

// While the commands of several owners wait, they take turns, each with as many as its weight. The order of each is kept.
func TestOwnersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := busyLine(t)
		for range lanes {
			<-l.batches
		}
		waiting := map[string][]*Attempt{}
		for _, owner := range []struct {
			name      string
			weight, n int
		}{{"greedy", 0, 1000}, {"heavy", 3, 300}, {"light", 1, 2}} {
			for _, a := range someAttempts(t, owner.n) {
				a.Owner, a.Weight = owner.name, owner.weight
				waiting[owner.name] = append(waiting[owner.name], a)
				l.submit(a)
			}
		}
		next := func() map[string]int {
			l.answer <- struct{}{}
			counts := map[string]int{}
			for _, a := range <-l.batches {
				if a != waiting[a.Owner][0] {
					t.Fatalf("the order of %s was not kept", a.Owner)
				}
				waiting[a.Owner] = waiting[a.Owner][1:]
				counts[a.Owner]++
			}
			return counts
		}
		if got := next(); got["light"] != 2 || got["heavy"] < 90 || got["greedy"] < 30 || got["heavy"]+got["greedy"] != batchSize-2 {
			t.Errorf("the first batch has %v", got)
		}
		if got := next(); got["heavy"] != 96 || got["greedy"] != 32 {
			t.Errorf("the second batch has %v", got)
		}
		for len(waiting["heavy"]) > 0 {
			next()
		}
		if got := next(); got["greedy"] != batchSize {
			t.Errorf("of the only one that waits, a batch has %v", got)
		}
		l.finishAll()
	})
}

// A full backlog of one owner refuses nothing of another.
func TestBacklogIsOfOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := busyLine(t)
		for _, a := range someAttempts(t, backlog) {
			l.submit(a)
		}
		other := someAttempts(t, 1)[0]
		other.Owner = "other"
		l.submit(other)
		refused := someAttempts(t, 1)[0]
		l.submit(refused)
		if err, _ := refused.Wait(); !errors.Is(err, ErrOverloaded) {
			t.Errorf("got %v", err)
		}
		l.finishAll()
		if err, _ := other.Wait(); err != nil {
			t.Errorf("another owner: %v", err)
		}
	})
}

// Some of many callers leave. Each attempt is finished or abandoned exactly once, and none is in two batches.
func TestQueueFinishesEachOnce(t *testing.T) {
	var inBatches sync.Map
	var most, twice, under atomic.Int64
	b := &queue{send: func(as []*Attempt) {
		if n := under.Add(1); n > lanes {
			twice.Add(1)
		}
		most.Store(max(most.Load(), int64(len(as))))
		for _, a := range as {
			if _, dup := inBatches.LoadOrStore(a, true); dup {
				twice.Add(1)
			}
			a.Finish(nil) // panics the second time
		}
		under.Add(-1)
	}}
	var finished, left, doubtful atomic.Int64
	var wg sync.WaitGroup
	const callers, each = 40, 100
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				ctx, cancel := context.WithCancel(context.Background())
				a := NewAttempt(ctx, redis.NewStringCmd(ctx, "get", "x"))
				b.submit(a)
				if (i+j)%3 == 0 {
					cancel()
				}
				switch err, doubt := a.Wait(); {
				case err == nil:
					finished.Add(1)
				case doubt:
					doubtful.Add(1)
				default:
					left.Add(1)
					if !a.abandoned() {
						twice.Add(1)
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	sent := int64(0)
	inBatches.Range(func(any, any) bool { sent++; return true })
	if finished.Load()+left.Load()+doubtful.Load() != callers*each || sent != finished.Load()+doubtful.Load() {
		t.Errorf("%d finished, %d left in time, %d in doubt, %d sent", finished.Load(), left.Load(), doubtful.Load(), sent)
	}
	if twice.Load() != 0 || most.Load() > batchSize {
		t.Errorf("%d broke a rule; the largest batch was %d", twice.Load(), most.Load())
	}
	polltest.Eventually(t, "the abandoned ones have left the queue", func() bool { return b.waiting() == 0 })
}

func (a *Attempt) abandoned() bool { return a.progress.Load() == abandoned }
