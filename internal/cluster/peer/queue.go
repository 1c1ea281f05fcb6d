package peer

import (
	"runtime"
	"sync"
)

const (
	batchSize = 128  // commands in one pipeline at most
	lanes     = 3    // pipelines of one kind in flight to one node at most
	backlog   = 8192 // commands of one kind and one owner that may wait for a lane to one node; more are refused
)

// A queue sends commands to one node in pipelines. A command that finds a free lane is sent at once. Commands that arrive
// while all lanes are busy are sent together. While several owners have commands waiting, they take turns.
type queue struct {
	send func([]*Attempt) // must finish each attempt

	mu     sync.Mutex
	shares map[string]*share // by owner, empty ones too; guarded by mu
	turns  []*share          // those that are not empty, in the order of their turns; guarded by mu
	busy   int               // lanes in use; guarded by mu
}

// A share holds the commands of one owner that wait, in order.
type share struct {
	weight int // how many of them go in one turn
	left   int // how many may still go in this turn, of which a full batch has cut off the rest; 0 for a new turn
	queued []*Attempt
}

// submit queues an attempt. If the backlog of its owner has no room for it, it fails with ErrOverloaded.
func (q *queue) submit(a *Attempt) {
	q.mu.Lock()
	l := q.shareOf(a)
	if len(l.queued) == backlog {
		q.mu.Unlock()
		a.Finish(ErrOverloaded)
		return
	}
	if len(l.queued) == 0 {
		q.turns = append(q.turns, l)
	}
	l.queued = append(l.queued, a)
	start, company := q.busy < lanes, q.busy > 0
	if start {
		q.busy++
	}
	q.mu.Unlock()
	if start {
		go q.lane(company)
	}
}

// shareOf returns the share of an attempt's owner. The caller holds mu.
func (q *queue) shareOf(a *Attempt) *share {
	l := q.shares[a.Owner]
	if l == nil {
		if q.shares == nil {
			q.shares = map[string]*share{}
		}
		l = new(share)
		q.shares[a.Owner] = l
	}
	l.weight = max(1, a.Weight)
	return l
}

// lane sends batches until nothing is queued. If it has company, it lets those go first who are ready to run: where cores are busy, their
// commands go along, in one system call. A command that is alone waits for nobody.
func (q *queue) lane(company bool) {
	for {
		if company {
			runtime.Gosched()
		}
		q.mu.Lock()
		batch := q.next()
		company = len(batch) > 1 || q.busy > 1
		if len(batch) == 0 {
			q.busy--
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()

		live := batch[:0]
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

// next takes the commands of the next batch: each owner in turn has as many as its weight. The caller holds mu.
func (q *queue) next() []*Attempt {
	if len(q.turns) == 1 { // the usual case needs no copy
		return q.turn(batchSize)
	}
	var batch []*Attempt
	for len(q.turns) > 0 && len(batch) < batchSize {
		batch = append(batch, q.turn(batchSize-len(batch))...)
	}
	return batch
}

// turn takes up to n commands of the owner whose turn it is, and no more than its turn has unless it is alone. If it has more
// when its turn is over, it is the last in turn. The caller holds mu, and there is such an owner.
func (q *queue) turn(n int) []*Attempt {
	l := q.turns[0]
	if l.left == 0 {
		l.left = l.weight
	}
	if len(q.turns) > 1 {
		n = min(n, l.left)
	}
	n = min(n, len(l.queued))
	taken := l.queued[:n:n]
	l.queued, l.left = l.queued[n:], max(0, l.left-n)
	if len(l.queued) > 0 && l.left > 0 {
		return taken // the next batch goes on with it
	}
	copy(q.turns, q.turns[1:])
	if len(l.queued) > 0 {
		q.turns[len(q.turns)-1] = l
		return taken
	}
	l.queued, l.left = nil, 0 // or the array would keep its largest size
	q.turns = q.turns[:len(q.turns)-1]
	return taken
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, l := range q.turns {
		n += len(l.queued)
	}
	return n
}
