package session

import "time"

// The arguments of the scripts. Each struct has a method list, which lays its fields out in the order of the script's
// ARGV. The head of the .lua file names the same order: change the two together.
//
// To the scripts, an empty string is "none", a flag is "1" or "", a TTL counts in microseconds, and the life of a
// tombstone in milliseconds.

// createArgs are for scripts/create.lua.
type createArgs struct {
	id     writeID
	maxTTL time.Duration
	record []byte // its times are filled in by the script
	limit  int    // sessions that the user may have; 0 for any number, or unlisted
	evict  bool   // at the limit, revoke the oldest session instead of refusing the new one
}

// unlisted in place of a limit keeps a new session out of its user's index.
const unlisted = -1

func (a createArgs) list() []any {
	return []any{a.id[:], a.maxTTL.Microseconds(), a.record, a.limit, flag(a.evict), tombstoneLife.Milliseconds()}
}

// replaceArgs are for scripts/replace.lua.
type replaceArgs struct {
	id      writeID
	guard   Guard
	ttl     TTL
	content sealedContent
	used    bool        // the caller has the session's own ID; false if an older one led to it
	create  *createArgs // what to create if there is no session, of which record and maxTTL count; nil to create nothing
}

func (a replaceArgs) list() []any {
	args := []any{a.id[:], a.guard.encode(), optional(a.ttl.Idle), optional(a.ttl.Max), a.content.metaLength, a.content.bytes}
	if a.create == nil {
		return append(args, "", "", flag(a.used), int(a.content.format))
	}
	return append(args, a.create.record, a.create.maxTTL.Microseconds(), flag(a.used), int(a.content.format))
}

// touchArgs are for scripts/touch.lua.
type touchArgs struct {
	guard Guard
	ttl   TTL
	used  bool // the caller has the session's own ID; false if an older one led to it
	still bool // leave the idle deadline as it is, and only note that the session was used
	whole bool // answer with the whole record
}

func (a touchArgs) list() []any {
	return []any{a.guard.encode(), optional(a.ttl.Idle), optional(a.ttl.Max), flag(a.used), flag(a.still), flag(a.whole)}
}

// deleteArgs are for scripts/delete.lua.
type deleteArgs struct {
	id     writeID
	guard  Guard
	forget bool   // leave no tombstone
	owner  string // delete only a session of this user, and follow its handle over rotations; empty for any session
	spare  bool   // spare a session that is unused since it was made by a rotation
	force  bool   // bury even the ID from before a rotation, or with forget free it
}

func (a deleteArgs) list() []any {
	life := any(tombstoneLife.Milliseconds())
	if a.forget {
		life = ""
	}
	return []any{a.id[:], a.guard.encode(), life, a.owner, flag(a.force), flag(a.spare)}
}

// rotateArgs are for scripts/rotate.lua.
type rotateArgs struct {
	id        writeID
	guard     Guard
	grace     time.Duration
	content   sealedContent // for the successor
	pointer   []byte        // the successor's ID, sealed for the old one
	successor name
	mac       []byte // of the user, under the successor's ID; none in format 1
}

func (a rotateArgs) list() []any {
	return []any{
		a.id[:], a.guard.encode(), a.grace.Microseconds(), a.content.metaLength, a.content.bytes, a.pointer,
		a.successor.String(), int(a.content.format), a.mac,
	}
}

// retireArgs are for scripts/retire.lua.
type retireArgs struct {
	id    writeID
	guard Guard
}

func (a retireArgs) list() []any {
	return []any{a.id[:], a.guard.encode(), tombstoneLife.Milliseconds()}
}

// enlistArgs are for scripts/enlist.lua.
type enlistArgs struct {
	id    writeID
	limit int // sessions that the user may have, at least 1
}

func (a enlistArgs) list() []any {
	return []any{a.id[:], a.limit, tombstoneLife.Milliseconds()}
}

// listArgs are for scripts/list.lua.
type listArgs struct {
	keyPrefix string // of the sessions' keys
	user      string
	after     []byte // the index member behind which the list starts; empty for the first of the user
	limit     int    // sessions listed at most
}

func (a listArgs) list() []any {
	return []any{a.keyPrefix, a.user, a.after, a.limit, sliceMembers}
}

// revokeArgs are for scripts/revoke.lua.
type revokeArgs struct {
	id        writeID
	keyPrefix string // of the sessions' keys
	user      string
	spare     string // the name of the one session to spare; empty for none
	upto      string // a time of creation: what the first call answered; empty in that
}

func (a revokeArgs) list() []any {
	return []any{a.id[:], a.keyPrefix, a.user, a.spare, a.upto, sliceMembers, tombstoneLife.Milliseconds()}
}

// sliceMembers is how many members of a user's index one call of a script looks at. A script holds its shard while it runs: to
// revoke this many sessions takes about 2 ms.
const sliceMembers = 100

// optional is a TTL in microseconds, or the empty string for none.
func optional(d time.Duration) any {
	if d == 0 {
		return ""
	}
	return d.Microseconds()
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}
