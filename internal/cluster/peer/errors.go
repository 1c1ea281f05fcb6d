package peer

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What the troubles with a node come down to.
var (
	// ErrNil means that there is no such key: proven, by a node that answered.
	ErrNil = errors.New("no such key")
	// ErrUnavailable means that no node could serve the call in time, and that nothing was applied.
	ErrUnavailable = errors.New("the cluster is unavailable")
	// ErrRefused is the ErrUnavailable of a node that does not accept our credentials.
	ErrRefused = fmt.Errorf("%w: it refuses the credentials", ErrUnavailable)
	// ErrOverloaded is the ErrUnavailable of a shard or a node whose queue is full.
	ErrOverloaded = fmt.Errorf("%w: the queue is full", ErrUnavailable)
	// ErrFull means that the node is at its maxmemory and refused the write.
	ErrFull = errors.New("the cluster is out of memory")
)

// errNoTraffic means that the slot map does not name the node, or does not yet.
var errNoTraffic = errors.New("no connections to the node yet")

// errBreakerOpen is why no connection is made to a node that is down.
var errBreakerOpen = errors.New("the circuit breaker is open: the node is down")

// Translate gives the final answer of a node its meaning: ErrNil, ErrFull, ErrRefused, or a defect. It returns an
// ErrUnavailable as it is.
func Translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, redis.Nil):
		return ErrNil
	case hasPrefix(err, "OOM "):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case hasPrefix(err, "NOAUTH "), hasPrefix(err, "WRONGPASS "), hasPrefix(err, "NOPERM "):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("redis: %w", err)
}

// Unavailable is ErrUnavailable with its cause, unless that says so itself.
func Unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, err)
}

// IsRefusal reports whether a node does not accept our credentials.
func IsRefusal(err error) bool { return errors.Is(Translate(err), ErrRefused) }

// IsRedirect reports whether the node that answered names another (MOVED, ASK).
func IsRedirect(err error) bool {
	return hasPrefix(err, "MOVED ") || hasPrefix(err, "ASK ")
}

// IsNoScript reports whether the node does not hold the script whose digest it was sent.
func IsNoScript(err error) bool { return hasPrefix(err, "NOSCRIPT ") }

// isLoading reports whether the node answered that it cannot serve yet.
func isLoading(err error) bool { return hasPrefix(err, "LOADING ") }

// keyElsewhere begins the error of a script that came upon a key which has moved already. It may have written before.
const keyElsewhere = "ERR Script attempted to access a non local key"

// IsKeyElsewhere reports whether a script came upon a key which has moved already.
func IsKeyElsewhere(err error) bool { return hasPrefix(err, keyElsewhere) }

// passing are the replies of a node that another attempt may get past, by what they begin with, and their label among the
// redirects, where they have one: the node is starting, its shard has no master at the moment, its slots are on the move,
// also under a script that looks at more keys than it was given, it cannot write its log, or the caller's map is older
// than a failover.
var passing = []struct{ prefix, redirect string }{
	{"MOVED ", "moved"},
	{"ASK ", "ask"},
	{"TRYAGAIN ", "tryagain"},
	{keyElsewhere, "tryagain"}, // the same for a script
	{"CLUSTERDOWN ", "clusterdown"},
	{"MASTERDOWN ", "masterdown"},
	{"LOADING ", "loading"},
	{"READONLY ", "readonly"},
	{"NOREPLICAS ", "noreplicas"},
	{"BUSY ", ""},
	{"MISCONF ", ""},
	{"ERR max number of clients reached", ""},
}

// pass finds a reply among those that another attempt may get past.
func pass(err error) (redirect string, ok bool) {
	for _, p := range passing {
		if hasPrefix(err, p.prefix) {
			return p.redirect, true
		}
	}
	return "", false
}

// isReply reports whether a node answered with the error.
func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// hasPrefix reports whether a node answered with an error that begins so.
func hasPrefix(err error, prefix string) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), prefix)
}

// Transient reports whether another attempt may succeed where this one failed.
func Transient(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, ErrUnavailable) {
		return false
	}
	if isReply(err) {
		_, ok := pass(err)
		return ok
	}
	return true // no reply at all: a dial, a connection, a timeout
}

// neverSent are the failures before a connection was had.
var neverSent = []error{redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.ErrClosed, errNoTraffic, ErrUnavailable}

// unsent reports whether the failure proves that the node never executed the command: it answered with an error, or
// there was no connection to send the command on.
func unsent(err error) bool {
	if isReply(err) {
		return !IsKeyElsewhere(err)
	}
	for _, never := range neverSent {
		if errors.Is(err, never) {
			return true
		}
	}
	return isDial(err)
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// Redirected reads the address in MOVED and ASK ("MOVED 3999 10.0.0.1:6379"), and whether the next command there must be
// announced (ASKING). The address is empty for every other error.
func Redirected(err error) (addr string, asking bool) {
	if !IsRedirect(err) {
		return "", false
	}
	kind, rest, _ := strings.Cut(err.Error(), " ")
	_, addr, _ = strings.Cut(rest, " ")
	return addr, kind == "ASK"
}
