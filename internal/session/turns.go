package session

import (
	"context"
	"fmt"
	"sync"

	"github.com/sessiond/sessiond/internal/cluster"
)

// turns serialises the operations of this process that read a session, compute, and write it back. They are correct
// without it, since each write is conditional. But of n racers, n-1 would read in vain, again and again.
type turns struct {
	mu     sync.Mutex
	queues map[string]*queue // by key; guarded by mu
}

type queue struct {
	turn    chan struct{} // has room for one token: whoever put it there has the turn
	waiting int           // how many have or want the turn; guarded by turns.mu
}

// take waits for the turn and returns the function that gives it back. If the context ends first, it fails with
// cluster.ErrUnavailable: nothing was applied.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	t.mu.Lock()
	if t.queues == nil {
		t.queues = map[string]*queue{}
	}
	q := t.queues[key]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		t.queues[key] = q
	}
	q.waiting++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if q.waiting--; q.waiting == 0 {
			delete(t.queues, key)
		}
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("%w: %w while waiting for other writes to the session", cluster.ErrUnavailable, ctx.Err())
	}
}
