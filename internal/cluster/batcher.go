package cluster

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

const (
	batchSize = 128  // commands in one pipeline at most
	lanes     = 3    // pipelines of one kind under way to one node at most
	backlog   = 8192 // commands that may wait for a lane, of one kind to one node; beyond, they are refused
)

// An attempt is one command on its way to one node.
type attempt struct {
	ctx    context.Context // the caller's; when it is done, nobody waits any more
	cmd    redis.Cmder
	asking bool // the node was named by an ASK redirect
	strict bool // fail rather than settle for one copy

	progress atomic.Int32 // queued, sent or abandoned
	done     chan struct{}
	err      error      // set before done is closed
	achieved Durability // of a write, set before done is closed
}

const (
	queued int32 = iota
	sent
	abandoned
)

func newAttempt(ctx context.Context, cmd redis.Cmder) *attempt {
	return &attempt{ctx: ctx, cmd: cmd, done: make(chan struct{})}
}

func (a *attempt) finish(err error) {
	a.err = err
	close(a.done)
}

// abandon takes back what is still queued. False means that it was sent: it may have been executed.
func (a *attempt) abandon() bool { return a.progress.CompareAndSwap(queued, abandoned) }

// wait returns when the attempt is over or its caller's time is up, and then why, and whether the node may have executed
// it without our knowing.
func (a *attempt) wait() (err error, inDoubt bool) {
	select {
	case <-a.done:
		return a.err, a.err != nil && !unsent(a.err)
	case <-a.ctx.Done():
		return a.ctx.Err(), !a.abandon()
	}
}

// A batcher sends commands to one node in pipelines: what comes while its lanes are busy goes together, and what comes
// to an idle one goes at once.
type batcher struct {
	send func([]*attempt) // finishes each of them

	mu    sync.Mutex
	queue []*attempt // guarded by mu
	busy  int        // lanes; guarded by mu
}

// submit queues attempts, those of one call in the same pipeline if it has room. A node that is too far behind is full.
func (b *batcher) submit(attempts ...*attempt) {
	b.mu.Lock()
	if len(b.queue)+len(attempts) > backlog {
		b.mu.Unlock()
		for _, a := range attempts {
			a.finish(ErrOverloaded)
		}
		return
	}
	b.queue = append(b.queue, attempts...)
	start := b.busy < lanes
	if start {
		b.busy++
	}
	b.mu.Unlock()
	if start {
		go b.lane()
	}
}

// lane sends batches until nothing is queued.
func (b *batcher) lane() {
	for {
		b.mu.Lock()
		n := min(len(b.queue), batchSize)
		if n == 0 {
			b.busy--
			b.queue = nil // or its array would stay as large as it ever was
			b.mu.Unlock()
			return
		}
		batch := b.queue[:n:n]
		b.queue = b.queue[n:]
		b.mu.Unlock()

		live := make([]*attempt, 0, n)
		for _, a := range batch {
			if a.progress.CompareAndSwap(queued, sent) {
				live = append(live, a)
			}
		}
		if len(live) > 0 {
			b.send(live)
		}
	}
}

func (b *batcher) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}
