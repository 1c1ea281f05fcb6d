package ledger

import (
	"fmt"
	"time"
)

// A Write is a write in flight. Exactly one of Ack, Missing, Conflict, Refuse and Unknown ends it, when the answer comes or
// the caller stops waiting.
type Write struct {
	l     *Ledger
	name  *name
	kind  kind
	seq   uint64
	guard uint64
	snap  snapshot
	old   bool          // sent under a key from before a rotation
	grace time.Duration // of a rotation
	stood time.Time     // until when the key stood before this rotation
	key   string        // for findings; the answer tells that of a create
}

// begin takes the next sequence number. The session is locked, or not yet shared.
func (l *Ledger) begin(n *name, now time.Time, kind kind, guard uint64) *Write {
	s := n.s
	if s.pending {
		panic("ledger: two writes to one session at a time")
	}
	w := &Write{l: l, name: n, kind: kind, seq: s.next, guard: guard, snap: s.snapshot(now)}
	s.next++
	s.pending, s.turning = true, kind == rotation
	switch kind {
	case deletion:
		s.deletes++
	case rotation:
		s.turned++
	}
	s.ceiling += w.makes()
	w.old = n.use()
	return w
}

// makes returns how many versions the write can make: none if the session is certainly deleted.
func (w *Write) makes() uint64 {
	if w.kind == deletion || w.snap.deleted {
		return 0
	}
	return 1
}

// Seq returns the write's number in its session. Its content carries it.
func (w *Write) Seq() uint64 { return w.seq }

// Data returns the content of a create or a replacement. The padding must need no escapes in JSON.
func (w *Write) Data(padding string) []byte {
	return appendDocument(nil, saltText(w.name.s.salt), w.seq, padding, true)
}

// Patch returns the content as a merge patch: the members that change.
func (w *Write) Patch(padding string) []byte {
	return appendDocument(nil, saltText(w.name.s.salt), w.seq, padding, false)
}

// Ack ends an acknowledged write, with its version, or 0 if the answer has none. A create and a rotation pass the new key.
func (w *Write) Ack(key string, version uint64) Verdict {
	s, now := w.lock()
	defer s.mu.Unlock()
	w.done(now, true)
	w.l.tally.acked.Add(1)
	if w.kind == deletion {
		if s.deletedAt == 0 {
			s.deletedAt = w.seq
		}
		return OK
	}
	f := w.judgeAck(s, version)
	s.slid = w.snap.at
	w.apply(s, version)
	if w.kind == create || w.kind == rotation {
		w.key = key
		if taken := w.l.enter(key, &name{s: s}); taken != nil && taken.s != s {
			f = finding{Corrupt, "the key of another session was issued again"}
		}
	}
	if w.kind == create {
		s.bornAck = now
	}
	if w.kind == rotation {
		w.name.harmless = w.grace == 0
		if dead := now.Add(w.grace); dead.After(w.name.deadFrom) {
			w.name.deadFrom = dead
		}
	}
	return w.l.found(s, f, w.example(now, version))
}

// judgeAck compares the version with the possible ones.
func (w *Write) judgeAck(s *session, version uint64) finding {
	before := w.snap.last.version
	switch {
	case w.snap.deleted:
		return finding{Resurrected, "a write to a deleted session was acknowledged"}
	case w.grewOld():
		return finding{Resurrected, "a write under a key from before a rotation was acknowledged after the grace"}
	case version == 0 || before == 0:
		return finding{}
	case version < before, version == before && !(w.kind == rotation && s.turns > 0):
		return finding{Lost, fmt.Sprintf("acknowledged at version %d, but so was an earlier write at %d", version, before)}
	case w.guard > 0 && version != w.guard+1:
		return finding{Duplicated, fmt.Sprintf("If-Match named version %d, but it was acknowledged at %d", w.guard, version)}
	case version > s.ceiling:
		return finding{Duplicated, fmt.Sprintf("acknowledged at version %d; no more than %d is possible", version, s.ceiling)}
	}
	return finding{}
}

// apply makes this the last acknowledged write.
func (w *Write) apply(s *session, version uint64) {
	before := w.snap.last.version
	if version > 0 && version <= before { // found already; what was known of the versions is void
		s.recent = [recentWrites]finished{}
	}
	if w.kind == rotation {
		open := s.open
		s.settle(before, version)
		s.open = open // their content may be what was carried over
		s.turns = 0   // the same successor, or none
		s.last.version, s.last.mixed = version, s.last.mixed || !open.none()
	} else {
		if version > 0 {
			s.settle(before, version)
		}
		s.last = ack{seq: w.seq, version: version}
	}
	s.remember(finished{ack: s.last})
}

// Missing ends a write that was answered 404 or 410. It was not applied, and the session must have a reason to be gone.
func (w *Write) Missing() Verdict {
	s, now := w.lock()
	defer s.mu.Unlock()
	w.done(now, true)
	w.refused(s)
	return w.l.found(s, judgeMissing(w.l, w.name, w.snap, now), w.example(now, 0))
}

// Conflict ends a guarded write that was answered 412. It was not applied, and an open write must have made another version.
func (w *Write) Conflict() Verdict {
	s, now := w.lock()
	defer s.mu.Unlock()
	w.done(now, true)
	w.refused(s)
	f := finding{}
	if w.guard > 0 && w.guard == w.snap.last.version && w.snap.open.none() && !w.snap.turning && s.deletes == 0 && now.Before(w.snap.deadline) {
		f = finding{Lost, fmt.Sprintf("version %d was acknowledged, but the session is not at it", w.guard)}
	}
	return w.l.found(s, f, w.example(now, 0))
}

// Refuse ends a write that was never sent, or whose answer promises that it was not applied.
func (w *Write) Refuse() {
	s, now := w.lock()
	defer s.mu.Unlock()
	w.done(now, true)
	w.refused(s)
}

// Unknown ends a write of unknown outcome. It stays open.
func (w *Write) Unknown() {
	s, now := w.lock()
	defer s.mu.Unlock()
	w.done(now, false)
	w.l.tally.unknown.Add(1)
	s.left += int(w.makes())
	switch w.kind {
	case content:
		s.open = s.open.with(openWrite{w.seq, w.guard}, w.l.cfg.OpenLimit)
	case rotation:
		s.turns++
	}
}

// refused undoes what begin assumed.
func (w *Write) refused(s *session) {
	w.l.tally.refused.Add(1)
	s.ceiling -= w.makes()
	switch w.kind {
	case deletion:
		s.deletes--
	case rotation:
		w.name.standsUntil = w.stood
	default:
		s.remember(finished{ack: ack{seq: w.seq}, refused: true})
	}
}

func (w *Write) lock() (*session, time.Time) {
	now := w.l.cfg.Now()
	w.name.s.mu.Lock()
	return w.name.s, now
}

// done ends the write. Ending it twice is a bug in the caller that would make the judgement worthless.
func (w *Write) done(now time.Time, answered bool) {
	s := w.name.s
	if !s.pending || s.next != w.seq+1 {
		panic("ledger: a write was ended twice")
	}
	s.pending, s.turning = false, false
	if w.kind != rotation || w.old {
		w.name.unuse(w.old, answered, now, w.l.cfg.Slack)
	}
}

// grewOld reports whether the key had to be dead when the write began.
func (w *Write) grewOld() bool {
	dead := w.name.deadFrom
	return !dead.IsZero() && w.snap.at.After(dead.Add(w.l.cfg.Slack))
}

func (w *Write) example(now time.Time, version uint64) Finding {
	return Finding{Key: w.key, Request: "write", Started: w.snap.at, Ended: now, Seq: w.seq, Version: version,
		LastSeq: w.snap.last.seq, LastVersion: w.snap.last.version}
}
