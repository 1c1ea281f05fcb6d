package peer

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// An Attempt is one command on its way to one node.
type Attempt struct {
	Cmd    redis.Cmder
	Asking bool // the node was named by an ASK redirect

	// Set before Done is closed.
	Err    error
	Copies int64 // of a write that was committed: how many replicas have it

	ctx      context.Context // the caller's; when it is done, nobody waits any more
	progress atomic.Int32    // queued, sent or abandoned
	done     chan struct{}
}

const (
	queued int32 = iota
	sent
	abandoned
)

// NewAttempt makes an attempt for a caller, whose context says for how long the outcome is waited for.
func NewAttempt(ctx context.Context, cmd redis.Cmder) *Attempt {
	return &Attempt{ctx: ctx, Cmd: cmd, done: make(chan struct{})}
}

// Done is closed when the attempt is over.
func (a *Attempt) Done() <-chan struct{} { return a.done }

// Waited reports whether the caller still waits for the outcome.
func (a *Attempt) Waited() bool { return a.ctx.Err() == nil }

// Finish ends the attempt, once.
func (a *Attempt) Finish(err error) {
	a.Err = err
	close(a.done)
}

// Abandon takes back what is still queued. False means that it was sent: it may have been executed.
func (a *Attempt) Abandon() bool { return a.progress.CompareAndSwap(queued, abandoned) }

// Wait returns when the attempt is over or its caller's time is up, and then why, and whether the node may have executed
// it without our knowing.
func (a *Attempt) Wait() (err error, inDoubt bool) {
	select {
	case <-a.done:
		return a.Err, a.Err != nil && !unsent(a.Err)
	case <-a.ctx.Done():
		return a.ctx.Err(), !a.Abandon()
	}
}

// FinishAll ends attempts with the same outcome.
func FinishAll(attempts []*Attempt, err error) {
	for _, a := range attempts {
		a.Finish(err)
	}
}

// Unconfirmed is the outcome of a write that was executed, and then not confirmed for a cause. The cause is not
// unwrapped: what a node answers to WAIT says nothing of the write.
func Unconfirmed(cause error) error { return &unconfirmed{cause} }

type unconfirmed struct{ cause error }

func (e *unconfirmed) Error() string { return e.cause.Error() }
