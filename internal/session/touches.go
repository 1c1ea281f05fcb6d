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

// A toucher slides the idle deadlines of sessions that are read.
type toucher struct {
	store *RedisStore
	now   func() time.Time
	queue chan Ref
	done  sync.WaitGroup

	mu     sync.Mutex
	queued map[string]bool // by key; guarded by mu
	closed bool            // guarded by mu; once true, nothing is sent to queue
}

func newToucher(s *RedisStore, now func() time.Time) *toucher {
	t := &toucher{store: s, now: now, queue: make(chan Ref, touchQueue), queued: map[string]bool{}}
	for range touchWorkers {
		t.done.Go(t.work)
	}
	return t
}

// read notes that a session was read.
func (t *toucher) read(ref Ref, s Session) {
	outcome := touchSuppressed
	if t.now().Sub(s.TouchedAt) > s.IdleTTL/touchAfter {
		outcome = t.enqueue(ref)
	}
	if outcome != "" {
		t.store.metrics.touches.WithLabelValues(outcome).Inc()
	}
}

// enqueue returns the outcome, or "" if the touch was queued: its worker counts the outcome then.
func (t *toucher) enqueue(ref Ref) string {
	key := ref.key()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return touchDropped
	case t.queued[key]:
		return touchCoalesced
	}
	select {
	case t.queue <- ref:
		t.queued[key] = true
		return ""
	default:
		return touchDropped
	}
}

func (t *toucher) work() {
	for ref := range t.queue {
		t.touch(ref)
		t.mu.Lock()
		delete(t.queued, ref.key())
		t.mu.Unlock()
	}
}

func (t *toucher) touch(ref Ref) {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	_, err := t.store.run(ctx, nil, t.store.scripts.touch, ref, touchArgs{}.list())
	if _, rotated := errors.AsType[*moved](err); rotated {
		err = nil // not followed: this is no use of the old ID by a caller, so a late touch must not count as reuse
	}
	outcome := touchSent
	if err != nil {
		outcome = touchFailed
	}
	t.store.metrics.touches.WithLabelValues(outcome).Inc()
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
