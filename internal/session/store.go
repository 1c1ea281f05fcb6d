package session

import (
	"context"
	"errors"
	"time"
)

// A Store keeps sessions.
//
// Consistency: operations on one session, and on all sessions of one user, are linearizable while their shard keeps its
// master; each is one atomic step. A write that answered nil, ErrExists, ErrRevoked, ErrNotFound, ErrConflict or
// ErrLimit has told the truth about what is stored.
//
// Absence: ErrNotFound means proven absence. A session that expired, was revoked or never was are the same to a reader.
// Trouble in reaching Redis is never absence: it is cluster.ErrUnavailable, which promises that nothing was applied, or
// cluster.ErrOutcomeUnknown, which says that a write may have been.
//
// Retries: a write is sent again inside the deadline of its context while its outcome is unknown, and takes effect once.
//
// Rotation: for the grace after it, the old ID stands for its successor in every operation but Create. Later, its use is
// reuse of a credential that should be gone: the session is revoked, whoever holds it, and the answer is ErrNotFound.
//
// Every write that succeeds slides the idle deadline. The methods may be called concurrently.
type Store interface {
	// Create stores a new session at ref. It fails with ErrExists if there is one, ErrRevoked if one was revoked there
	// within the last five minutes, ErrForeignSlot if it is to have a user and ref cannot lie in that user's slot, ErrLimit
	// if the user has as many as may be, and a *TTLError or *ContentError for what may not be stored.
	Create(ctx context.Context, ref Ref, n New, key WriteKey) (Session, error)

	// Get reads a session, and slides its idle deadline in the background when more than 5 % of the idle TTL has passed
	// since it was last slid.
	Get(ctx context.Context, ref Ref) (Session, error)

	// Peek reads a session and slides nothing.
	Peek(ctx context.Context, ref Ref) (Session, error)

	// Replace stores content in place of what is there. It never creates.
	Replace(ctx context.Context, ref Ref, c Content, ttl TTL, w Write) (Session, error)

	// Upsert replaces what is there or creates it, as session libraries mean by "save". It takes only a caller's own IDs
	// (ErrIssuedID), and does not bring back what was revoked (ErrRevoked). With a guard it does not create.
	Upsert(ctx context.Context, ref Ref, c Content, ttl TTL, w Write) (Session, error)

	// Patch merges patch into what is there (RFC 7396). It reads, merges and replaces on condition that nobody wrote in
	// between, and starts again if somebody did, so that patches of different members all survive; with a guard of the
	// caller's it does not start again. It fails with ErrContended if it lost every race.
	Patch(ctx context.Context, ref Ref, patch Patch, w Write) (Session, error)

	// Touch slides the idle deadline, with new TTLs if any are given, and changes no version. The session it returns
	// holds no data.
	Touch(ctx context.Context, ref Ref, ttl TTL, g Guard) (Session, error)

	// Delete revokes a session: whatever write is under way, the session stays gone. It returns nil if there is none.
	Delete(ctx context.Context, ref Ref, d Deletion) error

	// Rotate gives the session a new ID and returns it. All who rotate the old ID within the grace get the same successor.
	// With a user that the session does not have yet, that is a login: the session moves to the user's slot, begins a life
	// of its own there, and the old ID is dead at once.
	Rotate(ctx context.Context, ref Ref, rot Rotation, w Write) (Session, Ref, error)

	// ListUser lists a user's sessions without their data, the oldest first, limit at most. The next page begins at the
	// cursor it returns, which is empty at the end. A cursor that no list returned is ErrBadCursor.
	ListUser(ctx context.Context, t *Tenant, user, cursor string, limit int) (page []Session, next string, err error)

	// RevokeUser revokes all of a user's sessions, but for the one whose handle is except, and counts them. The zero
	// Handle spares none.
	RevokeUser(ctx context.Context, t *Tenant, user string, except Handle) (int, error)

	// RevokeHandle revokes one session of a user by its handle. It returns nil if the user has no such session.
	RevokeHandle(ctx context.Context, user string, h Handle) error

	// GetMany is Peek for many sessions at once, one round trip to each shard. Each has its own result, in order.
	GetMany(ctx context.Context, refs []Ref) []Result

	// DeleteMany is Delete for many sessions at once, one round trip to each shard. Each has its own error, in order.
	DeleteMany(ctx context.Context, refs []Ref) []error

	// Walk lists the handles of all of a tenant's sessions, limit or a few more at a time. It is weakly consistent: a
	// session that is there for the whole walk is listed at least once; one that comes or goes may be listed or not. The
	// walk fails with ErrCursorExpired when the masters have changed since it began, and must begin again.
	Walk(ctx context.Context, t *Tenant, cursor string, limit int) (page []Handle, next string, err error)
}

// New is a session to be created.
type New struct {
	User string // empty for an anonymous session; at most MaxUserBytes
	Content
	TTL TTL
}

// Write is what a write may carry besides its content.
type Write struct {
	Guard Guard
	Key   WriteKey
}

// A WriteKey is a caller's own name for one write to one session: the same write sent again under the same key, through
// whichever instance, takes effect once while it is among the session's last four writes. The empty key stands for one
// that nobody else has.
type WriteKey string

// A Guard makes a write conditional: it fails with ErrConflict unless the session is at one of the stamps. The zero
// Guard lets every write through.
type Guard struct {
	AnyOf []Stamp
	Set   bool // false: no condition; true with no stamps: a condition that nothing meets
}

// A Deletion says how to delete.
type Deletion struct {
	Write
	Forget bool // leave no tombstone, so that the ID can be used again at once
}

// A Rotation says how to rotate.
type Rotation struct {
	User  string        // attach the session to this user; empty to leave it as it is
	Grace time.Duration // how long the old ID stands for the new; 0: dead at once. At most MaxGrace.
}

// The grace of a rotation.
const (
	DefaultGrace = 30 * time.Second
	MaxGrace     = 5 * time.Minute
)

// Patch is a JSON merge patch (RFC 7396) on content. A nil member changes nothing.
type Patch Content

// A Result is one of many.
type Result struct {
	Session Session
	Err     error
}

// What a Store answers. Errors of reaching Redis are package cluster's.
var (
	ErrNotFound      = errors.New("no such session")
	ErrExists        = errors.New("the session exists")
	ErrRevoked       = errors.New("the session was revoked")
	ErrConflict      = errors.New("the session is at another version")
	ErrContended     = errors.New("the session changes too fast")
	ErrForeignSlot   = errors.New("the ID does not lie in the slot of the user's sessions")
	ErrIssuedID      = errors.New("the ID is in the format of issued ones")
	ErrLimit         = errors.New("the user has as many sessions as may be")
	ErrBadCursor     = errors.New("no list returned this cursor")
	ErrCursorExpired = errors.New("the cluster has changed since the walk began")
)
