package session

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Background touches: a read never waits for a write, and a busy session costs 20 writes per idle TTL instead of one per
// request. They are async, without terms: a touch that is lost with its master costs a session some of its idle time, no
// data.
const (
	touchAfter   = 20 // a read touches once more than 1/20 (5 %) of the idle TTL has passed
	touchQueue   = 10000
	touchWorkers = 8
	touchTimeout = time.Second // a shard that is down must not keep the workers from the others for long
)

// A toucher slides the idle deadlines of sessions that are read, and notes the first use of a session that a rotation made.
type toucher struct {
	store *RedisStore
	queue chan *pendingTouch
	done  sync.WaitGroup

	mu     sync.Mutex
	queued map[string]*pendingTouch // by key; guarded by mu
	closed bool                     // guarded by mu; once true, nothing is sent to queue
}

// A pendingTouch is what is to be done for one session.
type pendingTouch struct {
	ref     Ref
	slide   bool // still to be begun; guarded by toucher.mu
	sliding bool // a slide is still to be begun or on its way; guarded by toucher.mu
	used    bool // note that the session was used; still to be begun; guarded by toucher.mu
}

func newToucher(s *RedisStore) *toucher {
	t := &toucher{store: s, queue: make(chan *pendingTouch, touchQueue), queued: map[string]*pendingTouch{}}
	for range touchWorkers {
		t.done.Go(t.work)
	}
	return t
}

// read notes that a session was read, and whether by its own ID.
func (t *toucher) read(ref Ref, s Session, own bool) {
	used := own && s.unused
	outcome := touchSuppressed
	if t.due(s) || used {
		outcome = t.enqueue(ref, true, used)
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
		t.enqueue(ref, false, true)
	}
}

// enqueue returns the outcome, or "" if the touch was queued: its worker counts the outcome then.
func (t *toucher) enqueue(ref Ref, slide, used bool) string {
	key := ref.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return touchDropped
	}
	if p := t.queued[key]; p != nil {
		p.used = p.used || used
		if slide && !p.sliding {
			p.slide, p.sliding = true, true
			return ""
		}
		return touchCoalesced
	}
	p := &pendingTouch{ref: ref, slide: slide, sliding: slide, used: used}
	select {
	case t.queue <- p:
		t.queued[key] = p
		return ""
	default:
		return touchDropped
	}
}

func (t *toucher) work() {
	for p := range t.queue {
		for args, more := t.begin(p); more; args, more = t.begin(p) {
			t.touch(p.ref, args)
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

func (t *toucher) touch(ref Ref, args touchArgs) {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	var err error
	if args.still {
		_, err = t.store.run(ctx, nil, t.store.scripts.touch, ref, args.list())
	} else {
		_, err = t.store.write(ctx, nil, t.store.scripts.touch, ref, nil, args.list())
	}
	if _, rotated := errors.AsType[*moved](err); rotated {
		err = nil // not followed: this is no use of the old ID by a caller, so a late touch must not count as reuse
	}
	outcome := touchSent
	if err != nil {
		outcome = touchFailed
	}
	if !args.still {
		t.store.metrics.touches.WithLabelValues(outcome).Inc()
	}
}

// close sends what is queued. It returns when that is done, or the context's error when that ends first.
func (t *toucher) close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.queue)
	}
	t.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		t.done.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
