package peer

import "sync"

const (
	batchSize = 128  // commands in one pipeline at most
	lanes     = 3    // pipelines of one kind in flight to one node at most
	backlog   = 8192 // commands of one kind that may wait for a lane to one node; more are refused
)

// A queue sends commands to one node in pipelines. A command that finds a free lane is sent at once. Commands that arrive
// while all lanes are busy are sent together.
type queue struct {
	send func([]*Attempt) // must finish each attempt

	mu     sync.Mutex
	queued []*Attempt // guarded by mu
	busy   int        // lanes in use; guarded by mu
}

// submit queues an attempt. If the backlog has no room for it, it fails with ErrOverloaded.
func (q *queue) submit(a *Attempt) {
	q.mu.Lock()
	if len(q.queued) == backlog {
		q.mu.Unlock()
		a.Finish(ErrOverloaded)
		return
	}
	q.queued = append(q.queued, a)
	start := q.busy < lanes
	if start {
		q.busy++
	}
	q.mu.Unlock()
	if start {
		go q.lane()
	}
}

// lane sends batches until nothing is queued.
func (q *queue) lane() {
	for {
		q.mu.Lock()
		n := min(len(q.queued), batchSize)
		if n == 0 {
			q.busy--
			q.queued = nil // or the array would keep its largest size
			q.mu.Unlock()
			return
		}
		batch := q.queued[:n:n]
		q.queued = q.queued[n:]
		q.mu.Unlock()

		live := make([]*Attempt, 0, n)
		for _, a := range batch {
			if a.progress.CompareAndSwap(queued, sent) {
				live = append(live, a)
			}
		}
		if len(live) > 0 {
			q.send(live)
		}
	}
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queued)
}
