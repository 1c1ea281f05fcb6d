package session

import (
	"context"
	"fmt"
	"sync"

	"github.com/sessiond/sessiond/internal/cluster"
)

// turns lets those who read, compute and write back the same session do so one after the other. They would be right
// without it, since each write is conditional; but of n racers in one process n-1 would read in vain, again and again.
type turns struct {
	mu     sync.Mutex
	queues map[string]*queue // by key; guarded by mu
}

type queue struct {
	turn    chan struct{} // holds one token: whoever took it has the turn
	waiting int           // those who have or want the turn; guarded by turns.mu
}

// take waits for the turn, as long as the context lasts, and returns what gives it back. It fails with
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
		return nil, fmt.Errorf("%w: %w while others wrote the session", cluster.ErrUnavailable, ctx.Err())
	}
}
