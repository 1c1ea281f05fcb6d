package session

import (
	"context"
	"errors"
)

// A Store keeps sessions.
//
// Consistency: operations on one session are linearizable while its shard keeps its master; each is one atomic step.
// A write that answered nil, ErrExists, ErrRevoked, ErrNotFound or ErrConflict has told the truth about what is stored.
//
// Absence: ErrNotFound means proven absence. A session that expired, was revoked or never was are the same to a reader.
// Trouble in reaching Redis is never absence: it is cluster.ErrUnavailable, which promises that nothing was applied, or
// cluster.ErrOutcomeUnknown, which says that a write may have been.
//
// Retries: a write is sent again inside the deadline of its context while its outcome is unknown, and takes effect once.
//
// Every write that succeeds slides the idle deadline. The methods may be called concurrently.
type Store interface {
	// Create stores a new session at ref. It fails with ErrExists if there is one, ErrRevoked if one was revoked there
	// within the last five minutes, ErrForeignSlot if it is to have a user and ref cannot lie in that user's slot, and a
	// *TTLError or *ContentError for what may not be stored.
	Create(ctx context.Context, ref Ref, n New) (Session, error)

	// Get reads a session.
	Get(ctx context.Context, ref Ref) (Session, error)

	// Replace stores content in place of what is there. It never creates.
	Replace(ctx context.Context, ref Ref, c Content, ttl TTL, g Guard) (Session, error)

	// Patch merges patch into what is there (RFC 7396). It reads, merges and replaces on condition that nobody wrote in
	// between, and starts again if somebody did, so that patches of different members all survive; with a guard of the
	// caller's it does not start again. It fails with ErrContended if it lost every race.
	Patch(ctx context.Context, ref Ref, patch Patch, g Guard) (Session, error)

	// Touch slides the idle deadline, with new TTLs if any are given, and changes no version. The session it returns
	// holds no data.
	Touch(ctx context.Context, ref Ref, ttl TTL, g Guard) (Session, error)

	// Delete revokes a session: whatever write is under way, the session stays gone. It returns nil if there is none.
	Delete(ctx context.Context, ref Ref, g Guard) error
}

// New is a session to be created.
type New struct {
	User string // empty for an anonymous session; at most MaxUserBytes
	Content
	TTL TTL
}

// A Guard makes a write conditional: it fails with ErrConflict unless the session is at one of the stamps. The zero
// Guard lets every write through.
type Guard struct {
	AnyOf []Stamp
	Set   bool // false: no condition; true with no stamps: a condition that nothing meets
}

// Patch is a JSON merge patch (RFC 7396) on content. A nil member changes nothing.
type Patch Content

// What a Store answers. Errors of reaching Redis are package cluster's.
var (
	ErrNotFound    = errors.New("no such session")
	ErrExists      = errors.New("the session exists")
	ErrRevoked     = errors.New("the session was revoked")
	ErrConflict    = errors.New("the session is at another version")
	ErrContended   = errors.New("the session changes too fast to patch")
	ErrForeignSlot = errors.New("the ID does not lie in the slot of the user's sessions")
)
