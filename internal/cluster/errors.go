package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// What the cluster's troubles come down to. Everything else that a Client returns is a defect, here or in a script.
var (
	// ErrNil means that there is no such key: proven, by a node that answered.
	ErrNil = errors.New("no such key")
	// ErrUnavailable means that no node could serve the call in time, and that nothing was applied.
	ErrUnavailable = errors.New("the cluster is unavailable")
	// ErrOutcomeUnknown means that a write was sent, that its answer never came, and that time is up.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")
	// ErrRefused is the ErrUnavailable of a cluster that does not accept our credentials.
	ErrRefused = fmt.Errorf("%w: it refuses the credentials", ErrUnavailable)
	// ErrFull means that the node is at its maxmemory and refused the write.
	ErrFull = errors.New("the cluster is out of memory")
)

// translate gives a final answer of Redis its meaning.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return ErrNil
	case redis.HasErrorPrefix(err, "OOM "):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case redis.HasErrorPrefix(err, "NOAUTH "), redis.HasErrorPrefix(err, "WRONGPASS "), redis.HasErrorPrefix(err, "NOPERM "):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("redis: %w", err)
}

// unavailable is ErrUnavailable with its cause, or ErrRefused if that is the cause.
func unavailable(err error) error {
	if errors.Is(err, ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, err)
}

// passing are the replies of a node that another attempt may get past: it is starting, its shard has no master at the
// moment, its slots are on the move, it cannot write its log, or the caller's map is older than a failover.
var passing = []string{
	"LOADING ", "CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN ", "MOVED ", "ASK ", "READONLY ", "BUSY ", "NOREPLICAS ",
	"MISCONF ", "max number of clients reached",
}

// transient reports whether another attempt may succeed where this one failed.
func transient(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		for _, prefix := range passing {
			if redis.HasErrorPrefix(err, prefix) {
				return true
			}
		}
		return false
	}
	return true // no reply at all: a dial, a connection, a timeout
}

// unsent reports whether the failure proves that the node never executed the command: it answered with an error, or
// there was no connection to send the command on.
func unsent(err error) bool {
	if _, ok := errors.AsType[redis.Error](err); ok {
		return true
	}
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// attempts remembers, over all tries of one call, whether one of them may have been executed without an answer. The
// last error alone cannot tell: a command that timed out and was then refused a connection may have been applied.
type attempts struct{ inDoubt atomic.Bool }

type attemptsKey struct{}

func withAttempts(ctx context.Context) (context.Context, *attempts) {
	if a, ok := ctx.Value(attemptsKey{}).(*attempts); ok {
		return ctx, a // part of a larger call, which is in doubt as a whole
	}
	a := new(attempts)
	return context.WithValue(ctx, attemptsKey{}, a), a
}

// giveUp is what a call answers when its time is up.
func (a *attempts) giveUp(last error) error {
	if a.inDoubt.Load() {
		return fmt.Errorf("%w: %s", ErrOutcomeUnknown, last)
	}
	return unavailable(last)
}

// final is what a call answers when a node has spoken. A refusal says nothing of an attempt before it that may have
// been executed.
func (a *attempts) final(err error) error {
	if err != nil && !errors.Is(err, redis.Nil) && a.inDoubt.Load() {
		return a.giveUp(err)
	}
	return translate(err)
}

// attemptHook sees every attempt at every node, where the ClusterClient shows only the last.
type attemptHook struct{}

func (attemptHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (attemptHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		note(ctx, err, cmd)
		return err
	}
}

func (attemptHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		note(ctx, err, cmds...)
		return err
	}
}

// note puts the call in doubt if a write, that is a script, may have been executed. The commands that set up a
// connection, or ask for the slots, come by here too.
func note(ctx context.Context, err error, cmds ...redis.Cmder) {
	a, ok := ctx.Value(attemptsKey{}).(*attempts)
	if !ok || err == nil || unsent(err) {
		return
	}
	for _, cmd := range cmds {
		if cmd.Name() == "evalsha" || cmd.Name() == "eval" {
			a.inDoubt.Store(true)
		}
	}
}
