package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

const (
	retouchPause   = 250 * time.Millisecond
	retouchTimeout = time.Second // of one try
	retouchBatch   = 256         // tried at once: they take places in the write queue of their shard, which callers need
)

// A retrier tries failed touches again, apart from the workers, so that a shard that is down delays no other's first tries.
// Those that fail again wait for the next round; the toucher bounds their number.
type retrier struct {
	toucher *toucher
	stop    sync.Once
	stopped chan struct{} // closed when the round that begins next is the last
	failed  chan struct{} // has room for one: something waits
	done    sync.WaitGroup

	mu      sync.Mutex
	waiting []*pendingTouch // guarded by mu
}

func (r *retrier) start(t *toucher) {
	r.toucher, r.stopped, r.failed = t, make(chan struct{}), make(chan struct{}, 1)
	r.done.Go(r.run)
}

// close tries once more all that waits, and returns when that is done. Nothing is added any more.
func (r *retrier) close() {
	r.stop.Do(func() { close(r.stopped) })
	r.done.Wait()
}

// add has a touch tried again.
func (r *retrier) add(p *pendingTouch) {
	r.mu.Lock()
	r.waiting = append(r.waiting, p)
	r.mu.Unlock()
	select {
	case r.failed <- struct{}{}:
	default:
	}
}

func (r *retrier) run() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for last := false; !last; {
		select {
		case <-r.stopped:
			last = true
		case <-r.failed:
			pause.Reset(retouchPause)
			select {
			case <-r.stopped:
				last = true
			case <-pause.C:
			}
		}
		r.mu.Lock()
		round := r.waiting
		r.waiting = nil
		r.mu.Unlock()
		for batch := range slices.Chunk(round, retouchBatch) {
			r.try(batch, last)
		}
	}
}

// try tries a batch once.
func (r *retrier) try(batch []*pendingTouch, last bool) {
	t := r.toucher
	args := make([]touchArgs, len(batch))
	calls := make([]cluster.Call, len(batch))
	for i, p := range batch {
		args[i], _ = t.begin(p) // there is more to do, since the last try failed
		calls[i] = cluster.Call{Keys: []string{p.ref.key(), p.ref.indexKey()}, Args: args[i].list()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), retouchTimeout)
	defer cancel()
	for i, got := range t.store.cluster.RunMany(ctx, &Terms{Background: true}, t.store.scripts.touch, calls) {
		p := batch[i]
		err := t.answer(p.ref, args[i], got.Reply, got.Err)
		if !t.settle(p, args[i], err, last) || t.more(p, last) {
			r.add(p)
		}
	}
}
