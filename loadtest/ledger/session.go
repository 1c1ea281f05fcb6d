package ledger

import (
	"slices"
	"sync"
	"time"
)

// recentWrites is how many finished writes are remembered with their versions. A read is judged by the writes that finished
// while it was in flight. If there were more, only their order counts.
const recentWrites = 8

type kind uint8

const (
	create kind = iota
	content
	deletion
	rotation
)

// A session holds everything that can still matter to a judgement.
type session struct {
	mu sync.Mutex // guards everything here, and the names of the session

	salt    uint64
	next    uint64 // sequence number of the next write; every kind takes one
	last    ack    // the last acknowledged write of content, at the version of a later rotation if there was one
	pending bool   // a write is in flight
	turning bool   // and it is a rotation

	open    openWrites
	turns   int    // rotations of unknown outcome
	left    int    // how many of both can at most still take effect, if the versions are known
	turned  uint64 // rotations ever begun
	ceiling uint64 // the highest version that is possible, if the versions are known

	recent [recentWrites]finished
	at     uint8 // where the next one goes

	deletes   int    // deletions sent and not refused: the session may be gone
	deletedAt uint64 // sequence number of the first acknowledged deletion, or 0

	life     Lifetime
	bornSent time.Time
	bornAck  time.Time
	slid     time.Time // when the last acknowledged write was sent: it slid the idle deadline then or later

	oldUses   int       // uses of old keys that may have come after the grace, which revokes the session
	reuseFrom time.Time // the end of the first grace that one of them may have missed

	violated uint16 // verdicts already found, one bit each
}

// An ack is an acknowledged write. A mixed one is a rotation with open writes before it: at its version, the content may be
// that of any of them.
type ack struct {
	seq, version uint64
	mixed        bool
}

// An openWrite is content of unknown outcome.
type openWrite struct{ seq, guard uint64 }

// openWrites are the writes that may still take effect, or may have done so at an unknown version. Guarded writes that can no
// longer apply are left out. Snapshots share the list, so it is never changed in place.
type openWrites struct {
	list  []openWrite // oldest first
	floor uint64      // writes up to this number are no longer in the list, and all count as open
}

func (o openWrites) none() bool { return len(o.list) == 0 && o.floor == 0 }

func (o openWrites) has(seq uint64) bool {
	return seq <= o.floor || slices.ContainsFunc(o.list, func(w openWrite) bool { return w.seq == seq })
}

// with adds a write, and folds the oldest ones beyond the limit.
func (o openWrites) with(w openWrite, limit int) openWrites {
	list := o.list
	if len(list) >= limit {
		o.floor = list[0].seq
		list = list[1:]
	}
	o.list = append(slices.Clone(list), w)
	return o
}

type finished struct {
	ack
	refused bool
}

// A name is a key of a session. A key from before a rotation works until the grace ends.
type name struct {
	s           *session
	standsUntil time.Time // of a rotation that was sent: the key may be gone from here; zero for a current key
	deadFrom    time.Time // of a rotation that was acknowledged: the key must be gone from here
	harmless    bool      // a rotation without grace: later use does not count as theft
}

// A snapshot holds what was known when a request began.
type snapshot struct {
	at       time.Time
	last     ack
	deadline time.Time // the session is there until then
	deleted  bool
	turning  bool
	turned   uint64
	open     openWrites
}

func (s *session) snapshot(now time.Time) snapshot {
	return snapshot{at: now, last: s.last, deadline: s.deadline(), deleted: s.deletedAt != 0, turning: s.turns > 0 || s.turning, turned: s.turned,
		open: s.open}
}

// deadline returns the earliest moment at which the session may expire.
func (s *session) deadline() time.Time {
	if s.life.Idle == 0 || s.life.Max == 0 {
		return s.bornSent
	}
	idle, absolute := s.slid.Add(s.life.Idle), s.bornSent.Add(s.life.Max)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// remember keeps a finished write.
func (s *session) remember(f finished) {
	s.recent[s.at%recentWrites] = f
	s.at = (s.at + 1) % recentWrites
}

// settle draws conclusions from an acknowledged version. The distance to the acknowledged version before it is the number of
// open writes that took effect in between; if that is all of them, none stays open. A guarded write is settled in any case,
// since its version has passed.
func (s *session) settle(before, version uint64) {
	kept := slices.Clone(s.open.list)
	kept = slices.DeleteFunc(kept, func(o openWrite) bool { return o.guard != 0 && o.guard < version })
	guarded := len(s.open.list) - len(kept)
	s.open.list = kept
	s.left -= guarded
	if before > 0 && version > before+1 {
		s.left -= max(0, int(min(version-before-1, 1<<20))-guarded)
	}
	if s.left <= 0 {
		s.left, s.open, s.turns = 0, openWrites{}, 0
	}
	s.ceiling = version + uint64(s.left)
}

// use notes that a request is in flight, and reports whether it uses an old key.
func (n *name) use() bool {
	if n.standsUntil.IsZero() || n.harmless {
		return false
	}
	n.s.oldUses++
	if n.s.reuseFrom.IsZero() || n.standsUntil.Before(n.s.reuseFrom) {
		n.s.reuseFrom = n.standsUntil
	}
	return true
}

// unuse undoes use if the answer came before the end of the grace. Otherwise the request may still arrive after it.
func (n *name) unuse(old, answered bool, now time.Time, slack time.Duration) {
	if n.standsUntil.IsZero() || n.harmless {
		return
	}
	if !old { // the rotation came after the request
		n.use()
	}
	if answered && now.Before(n.standsUntil.Add(-slack)) {
		n.s.oldUses--
	}
}

func (n *name) mustBeThere(now time.Time, slack time.Duration) bool {
	s := n.s
	return s.deletes == 0 && s.oldUses == 0 && n.standsUntil.IsZero() && now.Before(s.deadline().Add(-slack))
}
