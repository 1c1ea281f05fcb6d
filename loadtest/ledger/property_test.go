package ledger

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Random histories of one session, honest for the most part, are judged by the ledger and by the oracle.
func TestAgreesWithDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t, rapid.Bool().Draw(t, "versions"), false)
		h.run(t, true)
	})
}

// With guards the ledger may miss what the definition forbids, but must never find what it allows.
func TestNeverCriesWolf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t, true, true)
		h.run(t, false)
	})
}

type history struct {
	l         *Ledger
	oracle    oracle
	now       int
	versions  bool
	guards    bool
	pending   *Write
	pendingAt int // its place in oracle.writes
	reads     []*Read
	begun     []int
	known     uint64 // version last acknowledged
	deletions []uint64
}

const testKey = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY"

func newHistory(t *rapid.T, versions, guards bool) *history {
	h := &history{versions: versions, guards: guards, now: 1}
	h.l = New(Config{Now: func() time.Time { return time.Unix(int64(h.now), 0) }, Slack: -1})
	w := h.l.Create(Lifetime{Idle: time.Hour, Max: time.Hour})
	h.oracle.writes = append(h.oracle.writes, oracleWrite{seq: 1, sent: 1, end: 2, acked: true, version: h.told(1)})
	h.now = 2
	if v := w.Ack(testKey, h.told(1)); v != OK {
		t.Fatalf("a create at version 1 is %s", v)
	}
	h.known = h.told(1)
	return h
}

func (h *history) told(version uint64) uint64 {
	if h.versions {
		return version
	}
	return 0
}

func (h *history) run(t *rapid.T, exact bool) {
	for range rapid.IntRange(4, 24).Draw(t, "steps") {
		h.now++
		verdict, legal := OK, true
		switch step := rapid.IntRange(0, 9).Draw(t, "step"); {
		case step < 2 && len(h.reads) < 3:
			h.reads, h.begun = append(h.reads, h.l.Read(testKey)), append(h.begun, h.now)
		case step < 5 && len(h.reads) > 0:
			verdict, legal = h.endRead(t)
		case h.pending == nil && len(h.oracle.writes) < 7:
			h.beginWrite(t)
		case h.pending != nil:
			verdict, legal = h.endWrite(t)
		}
		if legal && verdict != OK {
			t.Fatalf("found %s in what is legal: %+v", verdict, h.l.Summary().Examples)
		}
		if !legal {
			if exact && verdict == OK {
				t.Fatal("missed what is illegal")
			}
			return // the history has no meaning any more
		}
	}
}

func (h *history) beginWrite(t *rapid.T) {
	w := oracleWrite{sent: h.now, seq: h.l.find(testKey).s.next}
	if w.deletion = rapid.IntRange(0, 9).Draw(t, "delete") == 0; w.deletion {
		h.pending = h.l.Delete(testKey)
		h.deletions = append(h.deletions, w.seq)
	} else {
		if h.guards && rapid.Bool().Draw(t, "guarded") {
			w.guard = h.known
		}
		h.pending = h.l.Write(testKey, w.guard)
	}
	h.pendingAt = len(h.oracle.writes)
	h.oracle.writes = append(h.oracle.writes, w)
}

// endRead answers with what is legal, for the most part, and returns whether it was.
func (h *history) endRead(t *rapid.T) (Verdict, bool) {
	i := rapid.IntRange(0, len(h.reads)-1).Draw(t, "which read")
	r, begun := h.reads[i], h.begun[i]
	h.reads, h.begun = append(h.reads[:i:i], h.reads[i+1:]...), append(h.begun[:i:i], h.begun[i+1:]...)

	type answer struct {
		found        bool
		seq, version uint64
	}
	var legal, all []answer
	isLegal := map[answer]bool{}
	try := func(a answer) {
		ok := h.oracle.legal(&target{begun: begun, ended: h.now, holds: func(s oracleState) bool {
			if !a.found || s.seq == 0 {
				return !a.found && s.deleted
			}
			return !s.deleted && s.seq == a.seq && (a.version == 0 || s.version == a.version)
		}})
		if isLegal[a] = ok; ok {
			legal = append(legal, a)
		}
		all = append(all, a)
	}
	try(answer{})
	top := h.told(uint64(len(h.oracle.writes)) + 2)
	for seq := uint64(1); seq <= h.l.find(testKey).s.next; seq++ {
		if slices.Contains(h.deletions, seq) {
			continue // would need a forged checksum
		}
		for version := h.told(1); version <= top; version++ {
			try(answer{true, seq, version})
		}
	}
	from := legal
	if rapid.IntRange(0, 9).Draw(t, "honest") == 0 || len(legal) == 0 {
		from = all
	}
	a := rapid.SampledFrom(from).Draw(t, "answer")
	if !a.found {
		return r.Missing(), isLegal[a]
	}
	salt := saltText(h.l.find(testKey).s.salt)
	return r.Found(a.version, appendDocument(nil, salt, a.seq, "x", true)), isLegal[a]
}

func (h *history) endWrite(t *rapid.T) (Verdict, bool) {
	w, at := h.pending, h.pendingAt
	h.pending = nil
	o := &h.oracle.writes[at]
	forget := func() { h.oracle.writes = append(h.oracle.writes[:at:at], h.oracle.writes[at+1:]...) }
	switch outcome := rapid.IntRange(0, 9).Draw(t, "outcome"); {
	case outcome < 3:
		w.Unknown()
		return OK, true
	case outcome == 3:
		forget()
		w.Refuse()
		return OK, true
	case outcome == 4 && !o.deletion:
		legal := h.without(at, &target{begun: o.sent, ended: h.now, holds: func(s oracleState) bool { return s.deleted }})
		forget()
		return w.Missing(), legal
	case outcome == 5 && o.guard != 0:
		guard := o.guard
		legal := h.without(at, &target{begun: o.sent, ended: h.now, holds: func(s oracleState) bool { return s.deleted || s.version != guard && s.version != 0 }})
		forget()
		return w.Conflict(), legal
	}
	o.acked, o.end = true, h.now
	if o.deletion {
		return w.Ack("", 0), true
	}
	honest := rapid.IntRange(0, 9).Draw(t, "honest") > 0
	var legal, all []uint64
	for version := h.told(1); version <= h.told(uint64(len(h.oracle.writes))+2); version++ {
		all = append(all, version)
		o.version = version
		if h.oracle.legal(nil) {
			legal = append(legal, version)
		}
	}
	if honest && len(legal) > 0 {
		all = legal
	}
	o.version = rapid.SampledFrom(all).Draw(t, "version")
	h.known = o.version
	return w.Ack("", o.version), h.oracle.legal(nil)
}

// without asks the oracle as if the write had never been sent, which is what a refusal says.
func (h *history) without(at int, t *target) bool {
	o := oracle{writes: append(append([]oracleWrite{}, h.oracle.writes[:at]...), h.oracle.writes[at+1:]...)}
	return o.legal(t)
}
