package peer

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// An Attempt is one command on its way to one node.
type Attempt struct {
	Cmd    redis.Cmder
	Asking bool // an ASK redirect led to the node, so that ASKING must precede the command

	Owner  string // whoever shares the node with others: owners take turns while their commands wait
	Weight int    // how many commands of the owner go in one turn; 0 means 1

	// Process is the process (run ID) of a replica whose answer counts, if it is in Stream at the offset Floor or beyond.
	// Otherwise the attempt fails with ErrBehind. An empty process accepts every answer.
	Process string
	Stream  string
	Floor   int64

	// Set before Done is closed.
	Err    error
	Copies int64 // of a write that was committed: how many replicas have it

	ctx      context.Context // the caller's; once it is done, nobody waits for the outcome
	progress atomic.Int32    // queued, sent or abandoned
	done     chan struct{}
}

const (
	queued int32 = iota
	sent
	abandoned
)

// NewAttempt makes an attempt. The caller waits for its outcome until ctx is done.
func NewAttempt(ctx context.Context, cmd redis.Cmder) *Attempt {
	return &Attempt{ctx: ctx, Cmd: cmd, done: make(chan struct{})}
}

// Done returns a channel that is closed when the attempt is over.
func (a *Attempt) Done() <-chan struct{} { return a.done }

// Waited reports whether the caller still waits for the outcome.
func (a *Attempt) Waited() bool { return a.ctx.Err() == nil }

// Finish ends the attempt. It must be called only once.
func (a *Attempt) Finish(err error) {
	a.Err = err
	close(a.done)
}

// Abandon takes the attempt back if it is still queued. False means that it was sent and may have been executed.
func (a *Attempt) Abandon() bool { return a.progress.CompareAndSwap(queued, abandoned) }

// Wait waits until the attempt is over or its caller's context is done, and returns its error. inDoubt reports whether the
// node may have executed the command although no reply to it has come.
func (a *Attempt) Wait() (err error, inDoubt bool) {
	if !a.IsDone() { // or the context would make a timer for nothing
		select {
		case <-a.done:
		case <-a.ctx.Done():
			if !a.IsDone() { // both may come at once: then the outcome is known
				return a.ctx.Err(), !a.Abandon()
			}
		}
	}
	return a.Err, a.Err != nil && !unsent(a.Err)
}

// IsDone reports whether the attempt is over.
func (a *Attempt) IsDone() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// FinishAll ends all attempts with the same error.
func FinishAll(attempts []*Attempt, err error) {
	for _, a := range attempts {
		a.Finish(err)
	}
}

// Unconfirmed is the error of a write that was executed but, for the given cause, not confirmed by a replica. It does not
// unwrap to the cause: the reply to WAIT says nothing about the write itself.
func Unconfirmed(cause error) error { return &unconfirmed{cause} }

type unconfirmed struct{ cause error }

func (e *unconfirmed) Error() string { return e.cause.Error() }
