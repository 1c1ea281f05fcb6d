package cluster

import (
	"errors"
	"fmt"
	"net"

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
	// ErrOverloaded is the ErrUnavailable of a shard or a node for which as much is under way as may be.
	ErrOverloaded = fmt.Errorf("%w: too much waits already", ErrUnavailable)
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

// unavailable is ErrUnavailable with its cause, unless that says so itself.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, err)
}

func outcomeUnknown(err error) error { return fmt.Errorf("%w: %s", ErrOutcomeUnknown, err) }

// isRefusal reports whether a node does not accept our credentials.
func isRefusal(err error) bool { return errors.Is(translate(err), ErrRefused) }

// passing are the replies of a node that another attempt may get past: it is starting, its shard has no master at the
// moment, its slots are on the move, also under a script that looks at more keys than it was given, it cannot write its
// log, or the caller's map is older than a failover.
var passing = []string{
	"LOADING ", "CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN ", "MOVED ", "ASK ", "READONLY ", "BUSY ", "NOREPLICAS ",
	"MISCONF ", "max number of clients reached", keyElsewhere,
}

// keyElsewhere begins the error of a script that came upon a key which has moved already. It may have written before.
const keyElsewhere = "Script attempted to access a non local key"

// transient reports whether another attempt may succeed where this one failed.
func transient(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, ErrUnavailable) || errors.Is(err, errOneCopy) {
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

// neverSent are the failures before a connection was had.
var neverSent = []error{redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.ErrClosed, errNoClient, errNoMaster, ErrUnavailable}

// unsent reports whether the failure proves that the node never executed the command: it answered with an error, or
// there was no connection to send the command on.
func unsent(err error) bool {
	if _, ok := errors.AsType[redis.Error](err); ok {
		return !redis.HasErrorPrefix(err, keyElsewhere)
	}
	for _, never := range neverSent {
		if errors.Is(err, never) {
			return true
		}
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
