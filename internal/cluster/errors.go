package cluster

import (
	"errors"
	"fmt"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// What the cluster's troubles come down to. Everything else that a Client returns is a defect, here or in a script.
var (
	// ErrNil means that there is no such key: proven, by a node that answered.
	ErrNil = peer.ErrNil
	// ErrUnavailable means that no node could serve the call in time, and that nothing was applied.
	ErrUnavailable = peer.ErrUnavailable
	// ErrOutcomeUnknown means that a write was sent, that its answer never came, and that time is up.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")
	// ErrRefused is the ErrUnavailable of a cluster that does not accept our credentials.
	ErrRefused = peer.ErrRefused
	// ErrOverloaded is the ErrUnavailable of a shard or a node whose queue is full.
	ErrOverloaded = peer.ErrOverloaded
	// ErrFull means that the node is at its maxmemory and refused the write.
	ErrFull = peer.ErrFull
)

// Why an attempt came to nothing.
var (
	// errMaybeMoving means that a replica has answered for want of a key, and that nobody can say yet that the slot was not
	// on the move.
	errMaybeMoving = errors.New("a replica found no key, but the slot may be moving")
	// errOneCopy is why a strict write fails: it was executed, but only its master has it.
	errOneCopy = errors.New("only the master has the write: its shard has no replica")
	// errReplaced is why a write is sent again: its master was replaced before a replica had it.
	errReplaced = errors.New("the master was replaced before a replica had the write")
	// errUnproven is why a write is given up: no replica has it, and it is not proven that its master still rules.
	errUnproven = errors.New("no replica has the write, and no majority confirms that its master is still the master")
	// errNoReplica is why a strict write is not even sent.
	errNoReplica = fmt.Errorf("%w: the write is strict, and its shard has no replica", ErrUnavailable)
)

// transient reports whether another attempt may succeed where this one failed.
func transient(err error) bool { return peer.Transient(err) && !errors.Is(err, errOneCopy) }

func outcomeUnknown(err error) error { return fmt.Errorf("%w: %s", ErrOutcomeUnknown, err) }
