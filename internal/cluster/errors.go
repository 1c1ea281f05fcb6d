package cluster

import (
	"errors"
	"fmt"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// The errors of a Client. Any other error is a defect, in this package or in a script.
var (
	// ErrNil means that there is no such key. A node that answered proves it.
	ErrNil = peer.ErrNil
	// ErrUnavailable means that no node could serve the call in time, and that no write was applied.
	ErrUnavailable = peer.ErrUnavailable
	// ErrOutcomeUnknown means that a write was sent and may have been applied, but was not confirmed before the deadline.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")
	// ErrRefused is the ErrUnavailable of a cluster that does not accept our credentials.
	ErrRefused = peer.ErrRefused
	// ErrDenied is the ErrUnavailable of a command that the Redis user may not run.
	ErrDenied = peer.ErrDenied
	// ErrOverloaded is the ErrUnavailable of a shard or a node whose queue is full.
	ErrOverloaded = peer.ErrOverloaded
	// ErrFull means that the node refused the write because it has reached its maxmemory.
	ErrFull = peer.ErrFull
)

// Why an attempt failed.
var (
	// errMaybeMoving means that a replica has not found a key, and that it is not proven yet that the slot was not being
	// moved.
	errMaybeMoving = errors.New("a replica found no key, but the slot may be moving")
	// errOneCopy fails a strict write that was executed, but that only its master has.
	errOneCopy = errors.New("only the master has the write: its shard has no replica")
	// errReplaced means that the write must be sent again.
	errReplaced = errors.New("the master was replaced before a replica had the write")
	// errUnmarked fails a write that some replica lacks, if a majority of masters has not noted that.
	errUnmarked = errors.New("a replica lacks the write, and no majority of masters has noted that")
	// errElsewhere fails a read of a shard whose master other instances reach.
	errElsewhere = fmt.Errorf("%w: this instance does not reach the master, and others do", ErrUnavailable)
	// errNoReplica fails a strict write that is not even sent.
	errNoReplica = fmt.Errorf("%w: the write is strict, and its shard has no replica", ErrUnavailable)
)

// transient reports whether another attempt may succeed after this error.
func transient(err error) bool { return peer.Transient(err) && !errors.Is(err, errOneCopy) }

func outcomeUnknown(err error) error { return fmt.Errorf("%w: %s", ErrOutcomeUnknown, err) }
