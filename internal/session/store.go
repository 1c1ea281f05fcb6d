package session

import (
	"context"
	"errors"
	"time"
)

// A Store keeps sessions.
//
// # Durability
//
// A write that returned nil has the durability that its [Terms] ask for; without terms, the store's default, which is
// replicated unless it is configured otherwise. Touch defaults to async.
//
//   - async: the master has executed the write. The write is lost if the master dies, or is cut off from the other
//     masters and replaced, before the replica has received it. In a healthy cluster that takes milliseconds.
//   - replicated: every replica that could take over has applied it too (WAIT on the connection of the write). It survives
//     the loss of any one node, and so of any one VM. It is lost only if all nodes of the shard fail at once: each log may
//     then lack its last second (appendfsync everysec). Of two replicas, one that is out of touch may lack the write, with
//     the proof that single needs. If the shard has no replica, the write is acknowledged as single.
//   - single is achieved, never asked for: only the master has the write, because its replica has failed, is silent, or
//     does not follow it, and it is proven that this master still rules its slots (docs/failover.md). Until a replica is in
//     step again, the write is lost if the master is lost, or if it fails and a replica that was out of step takes over. A
//     master that restarts in place keeps the write, but may lack the last second before a power cut.
//   - strict: as replicated, but single is not enough. The write fails with cluster.ErrUnavailable if the shard has no
//     replica, and with cluster.ErrOutcomeUnknown if it was executed but no replica confirmed it in time.
//
// A write that has neither a second copy nor that proof waits. At the deadline of its context it fails with
// cluster.ErrOutcomeUnknown, and may or may not survive. A Delete that is lost brings its session back.
//
// Terms.Achieved reports the weakest durability among the writes of a call. A read writes only if it finds the reuse of a
// rotated ID, which it revokes with the durability of its own terms.
//
// # What a read shows
//
// A read shows every write that was acknowledged with any durability but async, unless it was lost. It may also show a
// write that is not acknowledged yet; that write is lost if the master dies before its replica has it.
//
// A replica may answer when its master is slow or silent; Terms.FromReplica then reports it. Only a replica that was in
// step when its master was last well may do so. Its answer can lack writes that were acknowledged as async, and writes
// not acknowledged yet that an earlier read has shown. Terms.MasterOnly (Prefer: read=master) keeps reads on the master:
// they show every acknowledged write that was not lost, and fail with cluster.ErrUnavailable while the shard has no master.
//
// A store that is cut off from the majority together with a master may read from that master until it notices, after
// the node timeout. Such a read can be older than what the other side has acknowledged.
//
// # Consistency
//
// Each operation on one session is one atomic step; a login (see Rotate) takes two, and so does a create while there are older
// secrets. The revocation of all of a user's sessions goes in slices: once it has returned nil, none of those that were live
// when it began is; if it fails, some may be. While a shard keeps its master, the writes and the reads that the master answers
// are linearizable. The errors ErrExists, ErrRevoked, ErrNotFound, ErrConflict, ErrKeyReused and ErrLimit of a write are answers
// about what is stored.
//
// ErrNotFound means proven absence, with the reservation above about async writes and replicas. A reader cannot tell a
// session that expired or was revoked from one that never existed. Failure to reach Redis is never absence: it is
// cluster.ErrUnavailable, which promises that nothing was applied, or cluster.ErrOutcomeUnknown, which says that a write
// may have been.
//
// A write whose outcome is unknown is sent again until the deadline of its context, and takes effect once.
//
// # Time and rotation
//
// Every write that succeeds slides the idle deadline. For the grace after a rotation, the old ID stands for its successor
// in every operation but Create. After the grace it does so only until the successor's own ID is used: the answer to the
// rotation may have been lost. Once that ID was used, by a read or a write, using the old one is reuse of a credential that
// should be gone: the session is revoked, whoever holds it, and the answer is ErrNotFound. A write notes the use of an ID at
// once, a read in the background. After a rotation without grace, the old ID is ErrNotFound at once, and reuse in the same
// way.
//
// The methods may be called concurrently. Each takes the terms of the request that it serves; nil asks for the defaults.
type Store interface {
	// Create stores a new session at ref. It fails with ErrExists if there is one, ErrRevoked if one was revoked there
	// within the last five minutes, ErrForeignSlot if the session has a user and ref is not in that user's slot, ErrLimit
	// if the user already has Policy.MaxPerUser sessions and the policy evicts none, and a *TTLError or *ContentError for
	// what the policy does not allow.
	Create(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey) (Session, error)

	// Get reads a session. If more than 5 % of the idle TTL has passed since the deadline was last slid, by Redis' clock, Get
	// slides it in the background, with durability async whatever the terms are. While the shard takes no writes, this is
	// tried again until the deadline that Get saw is over.
	Get(ctx context.Context, terms *Terms, ref Ref) (Session, error)

	// Peek reads a session and slides nothing.
	Peek(ctx context.Context, terms *Terms, ref Ref) (Session, error)

	// Replace stores content in place of the session's own. It never creates a session.
	Replace(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error)

	// Upsert replaces the session's content, or creates the session: what session libraries call "save". It takes every ID,
	// since one that a caller chose may look like an issued one. It never brings back a session that was revoked within the
	// last five minutes (ErrRevoked). With a guard it does not create.
	Upsert(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error)

	// Patch merges patch into the session's content (RFC 7396). It reads, merges, and replaces on condition that nobody
	// wrote in between. If somebody did, it starts again, so that concurrent patches of different members all survive;
	// with a guard from the caller it does not start again. It fails with ErrContended if it lost every race.
	Patch(ctx context.Context, terms *Terms, ref Ref, patch Patch, w Write) (Session, error)

	// Touch slides the idle deadline, sets the TTLs that are given, and changes no version. The session it returns holds
	// no data. If Redis is out of memory, a touch with TTLs fails with cluster.ErrFull; one without still slides.
	Touch(ctx context.Context, terms *Terms, ref Ref, ttl TTL, g Guard) (Session, error)

	// Delete revokes a session: no write that is under way can bring it back. It returns nil if there is none.
	Delete(ctx context.Context, terms *Terms, ref Ref, d Deletion) error

	// Rotate gives the session a new ID and returns it. All who rotate the old ID while it stands for its successor
	// get that successor. A rotation with a user that the session does not have yet is a login: the session moves to the
	// user's slot, where its version and time of creation start anew, and the old ID is dead at once. A login takes two
	// writes. If the store fails in between, the old session lives on and the new one, whose ID nobody knows, expires.
	Rotate(ctx context.Context, terms *Terms, ref Ref, rot Rotation, w Write) (Session, Ref, error)

	// ListUser lists a user's sessions without their data, oldest first, at most limit of them. The next page begins at
	// the cursor it returns, which is empty at the end. It fails with ErrBadCursor for a cursor that no list returned.
	ListUser(ctx context.Context, terms *Terms, t *Tenant, user, cursor string, limit int) (page []Session, next string, err error)

	// RevokeUser revokes all sessions of a user except the one with the handle except, and returns how many it revoked.
	// The zero Handle spares none. If another handle is not that of a live session of the user, RevokeUser revokes nothing
	// and fails with ErrNotFound.
	RevokeUser(ctx context.Context, terms *Terms, t *Tenant, user string, except Handle) (int, error)

	// RevokeHandle revokes one session of a user by its handle. It returns nil if the user has no such session.
	RevokeHandle(ctx context.Context, terms *Terms, user string, h Handle) error

	// GetMany is Peek for many sessions at once, in one round trip to each shard. Each ref has its own result, in order.
	GetMany(ctx context.Context, terms *Terms, refs []Ref) []Result

	// DeleteMany is Delete for many sessions at once, in one round trip to each shard. Each ref has its own error, in
	// order.
	DeleteMany(ctx context.Context, terms *Terms, refs []Ref) []error

	// Walk lists the handles of all of a tenant's sessions, limit or a few more at a time. It is weakly consistent: a
	// session that exists for the whole walk is listed at least once; one that is created or removed during the walk may
	// be missing. Walk fails with ErrCursorExpired if the masters have changed since the walk began; the caller must then
	// begin again. It fails with ErrBadCursor for a cursor that no walk returned.
	Walk(ctx context.Context, terms *Terms, t *Tenant, cursor string, limit int) (page []Handle, next string, err error)

	// Usage returns what the tenant's live sessions take at least: what the last estimate is sure of, and what this store has
	// created since, although some of that may have ended. It sends no command. known is false if nothing is estimated.
	Usage(t *Tenant) (u Usage, known bool)
}

// New is a session to be created.
type New struct {
	User string // empty for an anonymous session; at most MaxUserBytes
	Content
	TTL TTL
}

// Write is what a write may carry besides its content.
type Write struct {
	Guard Guard    // the condition; the zero value is none
	Key   WriteKey // for retries by the caller; empty for none
}

// A Guard makes a write conditional: the write fails with ErrConflict unless the session is at one of the stamps. The zero
// Guard admits every write.
type Guard struct {
	AnyOf []Stamp
	Set   bool // false: no condition on the version; true without stamps: a condition that no session meets

	// Exists is the condition that there is a session, at whatever version. It matters to Upsert alone, which would create
	// one otherwise.
	Exists bool
}

// A Deletion says how to delete.
type Deletion struct {
	Write
	Forget bool // leave no tombstone, so that the ID, also one from before a rotation, can be used again at once
}

// A Rotation says how to rotate.
type Rotation struct {
	User  string        // log the session in as this user; empty to keep its user
	Grace time.Duration // how long the old ID stands for the new one at least, up to MaxGrace; 0: it is dead at once
}

// The grace of a rotation, in whole milliseconds.
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

// The errors of a Store, besides *TTLError, *ContentError, and the errors of package cluster about reaching Redis.
var (
	ErrNotFound      = errors.New("no such session")
	ErrExists        = errors.New("the session already exists")
	ErrRevoked       = errors.New("the session was revoked")
	ErrConflict      = errors.New("the session is at another version")
	ErrContended     = errors.New("too many concurrent writes to the session")
	ErrForeignSlot   = errors.New("the ID is not in the slot of the user's sessions")
	ErrKeyReused     = errors.New("the key was used for a write with another body")
	ErrLimit         = errors.New("the user has reached the limit of sessions")
	ErrBadCursor     = errors.New("the cursor was not returned by this list")
	ErrCursorExpired = errors.New("the cluster has changed since the walk began")
)
