package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Verdict is what an answer says about the store. Every verdict but OK is a violation.
type Verdict uint8

const (
	// OK is an answer that a correct store may give.
	OK Verdict = iota
	// Stale shows an older write than the last one acknowledged before the read.
	Stale
	// Lost is a session that is gone without a reason, or an acknowledged write that a version proves to be lost.
	Lost
	// Resurrected shows a session after its deletion, its absolute deadline, or the grace of its key.
	Resurrected
	// EarlyExpired is a session with a short TTL that is gone before its deadline.
	EarlyExpired
	// Corrupt is content that was never written, or that the store said it had not applied.
	Corrupt
	// Duplicated is a version above the number of writes that were sent: some write took effect twice.
	Duplicated
	verdicts
)

func (v Verdict) String() string {
	if v >= verdicts {
		return fmt.Sprintf("verdict %d", uint8(v))
	}
	return [...]string{"ok", "stale", "lost", "resurrected", "early-expired", "corrupt", "duplicated"}[v]
}

// MarshalText writes the name, for reports.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Finding is one violation.
type Finding struct {
	Verdict Verdict
	Reason  string
	Request string // "read", "write" or "list"
	// Key is the caller's. A session ID is a credential, so String shortens it.
	Key            string `json:"-"`
	Started, Ended time.Time
	// Seq and Version are what the answer shows or acknowledges. LastSeq and LastVersion are those of the last write
	// acknowledged before the request. 0 is unknown.
	Seq, Version, LastSeq, LastVersion uint64
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s of %.8s… from %s to %s: write %d at version %d; last acknowledged: write %d at version %d; %s", f.Verdict, f.Request,
		f.Key, f.Started.Format("15:04:05.000"), f.Ended.Format("15:04:05.000"), f.Seq, f.Version, f.LastSeq, f.LastVersion, f.Reason)
}

// A Summary counts the judgements so far.
type Summary struct {
	// Reads counts the reads that were answered and judged, Unanswered the others.
	Reads, Unanswered uint64
	// Acked, Unknown and Refused count the writes by outcome. A write stays Unknown even if a later version settles it.
	Acked, Unknown, Refused uint64
	// Violations counts the answers by verdict, without OK. Every later read of a lost session counts again, and a list
	// counts once for each session that it lacks.
	Violations map[Verdict]uint64
	// Sessions counts the sessions for which a verdict was found at least once.
	Sessions map[Verdict]uint64
	// Examples are the first findings of each verdict, ordered by their start.
	Examples []Finding
}

// Total returns the number of violations.
func (s Summary) Total() uint64 {
	total := uint64(0)
	for _, n := range s.Violations {
		total += n
	}
	return total
}

func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d reads judged, %d unanswered; writes: %d acknowledged, %d of unknown outcome, %d refused", s.Reads, s.Unanswered, s.Acked, s.Unknown, s.Refused)
	for v := Stale; v < verdicts; v++ {
		fmt.Fprintf(&b, "; %s %d", v, s.Violations[v])
	}
	return b.String()
}

// A tally counts without a lock. Only findings take the lock.
type tally struct {
	reads, unanswered, acked, unknown, refused atomic.Uint64

	mu         sync.Mutex
	violations [verdicts]uint64
	sessions   [verdicts]uint64
	examples   []Finding
}

// A finding is the zero value if there is nothing wrong.
type finding struct {
	verdict Verdict
	reason  string
}

// found counts a verdict. The session is locked, or nil if there is none.
func (l *Ledger) found(s *session, f finding, example Finding) Verdict {
	if f.verdict == OK {
		return OK
	}
	t := &l.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations[f.verdict]++
	if bit := uint16(1) << f.verdict; s == nil {
		t.sessions[f.verdict]++
	} else if s.violated&bit == 0 {
		s.violated |= bit
		t.sessions[f.verdict]++
	}
	if t.violations[f.verdict] <= uint64(l.cfg.Examples) {
		example.Verdict, example.Reason = f.verdict, f.reason
		t.examples = append(t.examples, example)
	}
	return f.verdict
}

// Summary returns a snapshot.
func (l *Ledger) Summary() Summary {
	t := &l.tally
	s := Summary{
		Reads: t.reads.Load(), Unanswered: t.unanswered.Load(),
		Acked: t.acked.Load(), Unknown: t.unknown.Load(), Refused: t.refused.Load(),
		Violations: map[Verdict]uint64{}, Sessions: map[Verdict]uint64{},
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for v := Stale; v < verdicts; v++ {
		if t.violations[v] > 0 {
			s.Violations[v], s.Sessions[v] = t.violations[v], t.sessions[v]
		}
	}
	s.Examples = slices.SortedFunc(slices.Values(t.examples), func(a, b Finding) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Verdict, b.Verdict))
	})
	return s
}

// Violations returns the number of violations so far.
func (l *Ledger) Violations() uint64 {
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	total := uint64(0)
	for _, n := range l.tally.violations {
		total += n
	}
	return total
}
