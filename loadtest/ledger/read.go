package ledger

import (
	"fmt"
	"time"
)

// A Read is a read in flight. Exactly one of Found, Missing and Failed ends it.
type Read struct {
	l     *Ledger
	key   string
	name  *name // nil for a key that the ledger does not know
	snap  snapshot
	old   bool
	final bool
}

// Known reports whether the ledger knows the key. It does not know one that was never issued, or that it was told to forget
// after the key was chosen and before the read began.
func (r *Read) Known() bool { return r.name != nil }

// Found ends a read that returned a session, with its version, or 0 if the answer has none, and its `data`.
func (r *Read) Found(version uint64, data []byte) Verdict {
	now := r.l.cfg.Now()
	example := Finding{Key: r.key, Request: "read", Started: r.snap.at, Ended: now, Version: version,
		LastSeq: r.snap.last.seq, LastVersion: r.snap.last.version}
	r.l.tally.reads.Add(1)
	if r.name == nil {
		return r.l.found(nil, finding{Corrupt, "a session under a key that was never issued"}, example)
	}
	s := r.name.s
	seq, ok := parse(data, saltText(s.salt)) // the salt never changes
	example.Seq = seq
	s.mu.Lock()
	defer s.mu.Unlock()
	r.name.unuse(r.old, true, now, r.l.cfg.Slack)
	f := finding{Corrupt, "the content is not one of the session's: wrong salt, checksum or form"}
	switch {
	case r.gone(s, seq) != "":
		f = finding{Resurrected, r.gone(s, seq)}
	case ok:
		f = judgeContent(s, r.snap, seq, version)
	}
	if r.final && f.verdict == Stale {
		f.verdict = Lost
	}
	return r.l.found(s, f, example)
}

// gone says why the session must not be there.
func (r *Read) gone(s *session, seq uint64) string {
	late := r.snap.at.Add(-r.l.cfg.Slack)
	switch {
	case r.snap.deleted:
		return "its deletion was acknowledged before the read"
	case s.deletedAt != 0 && seq > s.deletedAt:
		return "shows a write that was sent after the deletion was acknowledged"
	case !r.name.deadFrom.IsZero() && late.After(r.name.deadFrom):
		return "the key was rotated, and the grace has ended"
	case s.life.Max > 0 && late.After(s.bornAck.Add(s.life.Max+time.Second)): // Redis expires within a second
		return "its absolute deadline has passed"
	}
	return ""
}

// Missing ends a read that was answered with proven absence: 404.
func (r *Read) Missing() Verdict {
	now := r.l.cfg.Now()
	r.l.tally.reads.Add(1)
	if r.name == nil {
		return r.l.found(nil, finding{}, Finding{})
	}
	s := r.name.s
	s.mu.Lock()
	defer s.mu.Unlock()
	f := judgeMissing(r.l, r.name, r.snap, now)
	r.name.unuse(r.old, true, now, r.l.cfg.Slack)
	return r.l.found(s, f, Finding{Key: r.key, Request: "read", Started: r.snap.at, Ended: now,
		LastSeq: r.snap.last.seq, LastVersion: r.snap.last.version})
}

// Failed ends a read that got no answer, or one that says nothing about the session.
func (r *Read) Failed() {
	now := r.l.cfg.Now()
	r.l.tally.unanswered.Add(1)
	if r.name == nil {
		return
	}
	r.name.s.mu.Lock()
	defer r.name.s.mu.Unlock()
	r.name.unuse(r.old, false, now, r.l.cfg.Slack)
}

// A Listing looks for one session in a list, which does not use the session's ID.
type Listing struct {
	l    *Ledger
	key  string
	name *name // nil for a key that the ledger does not know
	snap snapshot
}

// Absent judges a list that lacks the session. The caller makes sure that no rotation of it was in flight at that time.
func (r *Listing) Absent() Verdict {
	if r.name == nil {
		return OK
	}
	now := r.l.cfg.Now()
	s := r.name.s
	s.mu.Lock()
	defer s.mu.Unlock()
	f := judgeMissing(r.l, r.name, r.snap, now)
	if f.verdict != OK {
		f.reason = "not listed: " + f.reason
	}
	return r.l.found(s, f, Finding{Key: r.key, Request: "list", Started: r.snap.at, Ended: now,
		LastSeq: r.snap.last.seq, LastVersion: r.snap.last.version})
}

// judgeMissing looks for a reason that permits the session to be gone.
func judgeMissing(l *Ledger, n *name, snap snapshot, now time.Time) finding {
	s, slack := n.s, l.cfg.Slack
	late := now.Add(slack)
	switch {
	case s.deletes > 0,
		!n.standsUntil.IsZero() && !late.Before(n.standsUntil),
		s.oldUses > 0 && !late.Before(s.reuseFrom),
		!late.Before(snap.deadline):
		return finding{}
	}
	left := snap.deadline.Sub(now).Round(time.Millisecond)
	if min(s.life.Idle, s.life.Max) <= l.cfg.ShortTTL {
		return finding{EarlyExpired, fmt.Sprintf("gone %s before its deadline", left)}
	}
	return finding{Lost, fmt.Sprintf("gone, with no deletion sent, %s before its deadline", left)}
}

// judgeContent compares what a read shows, a write and a version, with what it may show.
func judgeContent(s *session, snap snapshot, seq, version uint64) finding {
	if seq == 0 || seq >= s.next {
		return finding{Corrupt, "shows a write that was never sent"}
	}
	for _, f := range s.recent {
		if f.refused && f.seq == seq {
			return finding{Corrupt, "shows a write that was answered as not applied"}
		}
	}
	older := seq < snap.last.seq && !snap.open.has(seq)
	stale := finding{Stale, "older than the last acknowledged write"}
	switch {
	case version == 0 || snap.last.version == 0:
		if older {
			return stale
		}
		return finding{}
	case version < snap.last.version:
		return stale
	case version > s.ceiling:
		return finding{Duplicated, fmt.Sprintf("no version above %d is possible", s.ceiling)}
	case snap.turning || s.turned != snap.turned: // any content may have been carried over to a higher version
		if older {
			return stale
		}
		return finding{}
	}
	return judgeVersion(s, snap, seq, version, older)
}

// judgeVersion does the same if every version has exactly one content.
func judgeVersion(s *session, snap snapshot, seq, version uint64, older bool) finding {
	open := s.open.has(seq)
	again := ""
	for i := range len(s.recent) + 1 {
		f := finished{ack: snap.last}
		if i < len(s.recent) {
			f = s.recent[i]
		}
		switch {
		case f.refused || f.seq == 0 || f.version == 0:
		case f.seq == seq && f.version == version:
			return finding{}
		case f.mixed && f.version == version && (open || snap.open.has(seq)):
			return finding{}
		case f.version == version:
			return finding{Lost, "another write has the version of an acknowledged one"}
		case f.seq == seq:
			again = fmt.Sprintf("its content was acknowledged at version %d", f.version)
		case f.seq < seq && version < f.version:
			return finding{Lost, "its version is older than that of a write acknowledged before it was sent"}
		}
	}
	switch {
	case again != "":
		return finding{Duplicated, again}
	case older:
		return finding{Stale, "older than the last acknowledged write"}
	case seq < s.last.seq && !open && version > s.last.version:
		return finding{Duplicated, "it took effect before a write acknowledged in the meantime"}
	}
	for _, o := range s.open.list {
		if o.seq == seq && o.guard > 0 && version != o.guard+1 {
			return finding{Duplicated, fmt.Sprintf("If-Match named version %d", o.guard)}
		}
	}
	return finding{}
}
