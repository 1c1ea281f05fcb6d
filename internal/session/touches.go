package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Background touches: a read never waits for a write, and a busy session costs 20 writes per idle TTL instead of one per
// request. They are async, without terms: a touch that is lost with its master costs a session some of its idle time, no
// data. A touch that fails, because its shard has no master at the moment, is tried again as long as the idle deadline that
// the read saw may last.
const (
	touchAfter   = 20    // a read touches once more than 1/20 (5 %) of the idle TTL has passed
	touchQueue   = 10000 // sessions whose touch is queued, under way or waiting for another try
	touchWorkers = 8
	touchTimeout = 250 * time.Millisecond // of a first try: a shard that is down must not keep the workers from the others for long
)

// A toucher slides the idle deadlines of sessions that are read, and notes the first use of a session that a rotation made.
type toucher struct {
	store   *RedisStore
	queue   chan *pendingTouch
	workers sync.WaitGroup
	retries retrier

	mu     sync.Mutex
	queued map[string]*pendingTouch // all that are pending, by key; guarded by mu
	closed bool                     // guarded by mu; once true, nothing is sent to queue
}

// A pendingTouch is what is to be done for one session. Its fields but ref are guarded by toucher.mu.
type pendingTouch struct {
	ref     Ref
	slide   bool      // still to be begun
	sliding bool      // a slide is still to be begun, under way, or waiting for another try
	used    bool      // note that the session was used; still to be begun
	until   time.Time // when the idle deadline that the last read saw is over at the latest, by this instance's clock
}

func newToucher(s *RedisStore) *toucher {
	t := &toucher{store: s, queue: make(chan *pendingTouch, touchQueue), queued: map[string]*pendingTouch{}}
	t.retries.start(t)
	for range touchWorkers {
		t.workers.Go(t.work)
	}
	return t
}

// read notes that a session was read, and whether by its own ID.
func (t *toucher) read(ref Ref, s Session, own bool) {
	used := own && s.unused
	outcome := touchSuppressed
	if t.due(s) || used {
		outcome = t.enqueue(ref, s.IdleTTL, true, used)
	}
	if outcome != "" {
		t.store.metrics.touches.WithLabelValues(outcome).Inc()
	}
}

// due reports whether the session was last touched long enough ago. If nobody knows, because Redis' clock was not measured
// lately or the last touch seems to lie in its future, a touch is due: its answer measures the clock.
func (t *toucher) due(s Session) bool {
	age, ok := t.store.clock.since(s.TouchedAt)
	return !ok || age.Abs() > s.IdleTTL/touchAfter
}

// peeked is read for a read that does not slide the idle deadline.
func (t *toucher) peeked(ref Ref, s Session, own bool) {
	if own && s.unused {
		t.enqueue(ref, s.IdleTTL, false, true)
	}
}

// enqueue returns the outcome, or "" if a slide was queued: its outcome is counted when it is known.
func (t *toucher) enqueue(ref Ref, idle time.Duration, slide, used bool) string {
	key, until := ref.key(), time.Now().Add(idle)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return touchDropped
	}
	if p := t.queued[key]; p != nil {
		p.used, p.until = p.used || used, until
		if slide && !p.sliding {
			p.slide, p.sliding = true, true
			return ""
		}
		return touchCoalesced
	}
	if len(t.queued) >= touchQueue {
		return touchDropped
	}
	p := &pendingTouch{ref: ref, slide: slide, sliding: slide, used: used, until: until}
	t.queued[key] = p
	t.queue <- p // has room for all that are pending
	return ""
}

func (t *toucher) work() {
	for p := range t.queue {
		for args, more := t.begin(p); more; args, more = t.begin(p) {
			if !t.settle(p, args, t.touch(p.ref, args), false) {
				t.retries.add(p)
				break
			}
		}
	}
}

// begin takes over what is to be done for a session. If there is nothing more, the session leaves the queue.
func (t *toucher) begin(p *pendingTouch) (args touchArgs, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	args = touchArgs{used: p.used, still: !p.slide}
	if more = p.used || p.slide; !more {
		delete(t.queued, p.ref.key())
	}
	p.used, p.slide = false, false
	return args, more
}

// more reports whether there is something to do for a session after a try. If not, the session leaves the queue; after the
// last try it does so in any case.
func (t *toucher) more(p *pendingTouch, last bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if (p.used || p.slide) && !last {
		return true
	}
	delete(t.queued, p.ref.key())
	return false
}

// settle ends a try. It returns false if the touch must be tried again; last says that it will not be.
func (t *toucher) settle(p *pendingTouch, args touchArgs, err error, last bool) bool {
	_, rotated := errors.AsType[*moved](err) // not followed: no caller used the old ID, so a late touch must not count as reuse
	done := err == nil || rotated
	t.mu.Lock()
	defer t.mu.Unlock()
	if !done && !last && !errors.Is(err, ErrNotFound) && time.Now().Before(p.until) {
		p.used, p.slide = p.used || args.used, p.slide || !args.still
		return false
	}
	if args.still {
		return true
	}
	p.sliding = p.slide
	if done {
		t.store.metrics.touches.WithLabelValues(touchSent).Inc()
	} else {
		t.store.metrics.touches.WithLabelValues(touchFailed).Inc()
	}
	return true
}

func (t *toucher) touch(ref Ref, args touchArgs) error {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	reply, err := t.store.cluster.Run(ctx, &Terms{Owner: ref.tenant.name, Background: true}, t.store.scripts.touch, []string{ref.key(), ref.indexKey()}, args.list()...)
	return t.answer(ref, args, reply, err)
}

// answer is what became of a touch.
func (t *toucher) answer(ref Ref, args touchArgs, reply []string, err error) error {
	switch {
	case err != nil:
		return err
	case args.still:
		_, err = verdict(ref, reply)
	default:
		_, _, err = t.store.written(ref, reply, nil)
	}
	return err
}

// close sends what is queued, and tries once more what has failed. It returns when that is done, or the context's error when
// that ends first.
func (t *toucher) close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.queue)
	}
	t.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		t.workers.Wait()
		t.retries.close()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
