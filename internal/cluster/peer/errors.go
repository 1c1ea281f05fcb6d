package peer

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// The errors that a caller can act on.
var (
	// ErrNil means that there is no such key. A node that answered proves it.
	ErrNil = errors.New("no such key")
	// ErrUnavailable means that no node could serve the call in time, and that no write was applied.
	ErrUnavailable = errors.New("the cluster is unavailable")
	// ErrRefused is the ErrUnavailable of a node that does not accept our credentials.
	ErrRefused = fmt.Errorf("%w: it refuses the credentials", ErrUnavailable)
	// ErrDenied is the ErrUnavailable of a command that the user may not run.
	ErrDenied = fmt.Errorf("%w: the Redis user lacks a permission", ErrUnavailable)
	// ErrOverloaded is the ErrUnavailable of a shard or a node whose queue is full.
	ErrOverloaded = fmt.Errorf("%w: the queue is full", ErrUnavailable)
	// ErrFull means that the node refused the write because it has reached its maxmemory.
	ErrFull = errors.New("the cluster is out of memory")
)

// ErrBehind means that a replica is not, or no longer, where it was known to be: it has restarted, for example.
var ErrBehind = errors.New("the replica lacks what it was known to have")

// errNoTraffic means that the slot map does not list the node, or not yet.
var errNoTraffic = errors.New("no connections to the node yet")

// errBreakerOpen is the error of a dial to a node that is down.
var errBreakerOpen = errors.New("the circuit breaker is open: the node is down")

// Translate gives the final answer of a node its meaning: ErrNil, ErrFull, ErrRefused, ErrDenied, or a defect. It returns an
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
	case IsRefusal(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case IsDenied(err):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return fmt.Errorf("redis: %w", err)
}

// Unavailable returns ErrUnavailable with err as its cause, or err itself if it is an ErrUnavailable already.
func Unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, err)
}

// IsRefusal reports whether a node has refused our credentials.
func IsRefusal(err error) bool {
	err = cmp.Or(letIn(err), err)
	return hasPrefix(err, "NOAUTH ") || hasPrefix(err, "WRONGPASS ")
}

// deniedInScript begins the error of a script that ran into what our user may not do. It may have written before.
const deniedInScript = "ERR ACL failure in script"

// IsDenied reports whether a node knows us, but does not let our user run the command, or access its keys.
func IsDenied(err error) bool {
	err = cmp.Or(letIn(err), err)
	return hasPrefix(err, "NOPERM ") || hasPrefix(err, deniedInScript)
}

// IsRedirect reports whether the node has redirected the command to another (MOVED, ASK).
func IsRedirect(err error) bool {
	return hasPrefix(err, "MOVED ") || hasPrefix(err, "ASK ")
}

// IsNoScript reports whether the node does not have the script whose digest it was sent (NOSCRIPT).
func IsNoScript(err error) bool { return hasPrefix(err, "NOSCRIPT ") }

// isLoading reports whether the node is still loading its data (LOADING).
func isLoading(err error) bool { return hasPrefix(err, "LOADING ") }

// keyElsewhere begins the error of a script that accessed a key which has already moved to another node. The script may
// have written other keys before.
const keyElsewhere = "ERR Script attempted to access a non local key"

// IsKeyElsewhere reports whether a script accessed a key which has already moved to another node.
func IsKeyElsewhere(err error) bool { return hasPrefix(err, keyElsewhere) }

// passing lists the error replies after which another attempt may succeed, by their prefix, with the label that counts them
// as redirects, if they have one. The node is starting; its shard has no master; a slot is being moved, perhaps under a
// script that accesses more keys than it was given; the node cannot write its log; or the caller's slot map is older than
// a failover.
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
	{"NOAUTH ", ""}, // a node that refuses our credentials is ill; another may accept them
	{"WRONGPASS ", ""},
	{"MISCONF ", ""},
	{"ERR max number of clients reached", ""},
}

// pass looks an error up in passing.
func pass(err error) (redirect string, ok bool) {
	for _, p := range passing {
		if hasPrefix(err, p.prefix) {
			return p.redirect, true
		}
	}
	return "", false
}

// IsReply reports whether the error is a node's reply.
func IsReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// hasPrefix reports whether the error is a node's reply with the prefix.
func hasPrefix(err error, prefix string) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), prefix)
}

// Transient reports whether another attempt may succeed after this error.
func Transient(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, ErrUnavailable) {
		return false
	}
	if IsReply(err) {
		_, ok := pass(err)
		return ok
	}
	return true // no reply at all: a dial, a connection, a timeout
}

// neverSent are the errors of commands that got no connection.
var neverSent = []error{redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.ErrClosed, errNoTraffic, ErrUnavailable, ErrOther}

// unsent reports whether the error proves that the node has not executed the command: it replied with an error, which is not that of
// a script that was stopped on its way, or there was no connection to send the command on.
func unsent(err error) bool {
	if IsReply(err) {
		return !IsKeyElsewhere(err) && !hasPrefix(err, deniedInScript)
	}
	for _, never := range neverSent {
		if errors.Is(err, never) {
			return true
		}
	}
	return isDial(err) || letIn(err) != nil
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// Redirected returns the address in a MOVED or ASK reply ("MOVED 3999 10.0.0.1:6379"), whose host may be a name, and whether ASKING must precede the
// command there. The address is empty for every other error.
func Redirected(err error) (addr string, asking bool) {
	if !IsRedirect(err) {
		return "", false
	}
	kind, rest, _ := strings.Cut(err.Error(), " ")
	_, addr, _ = strings.Cut(rest, " ")
	return view.Bracketed(addr), kind == "ASK"
}
