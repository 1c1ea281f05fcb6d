package ledger

import "slices"

// The oracle is the definition, by brute force: an answer is legal if there is any order of the writes, and of it, in
// which a correct session would have given it. Answers are judged one by one, as for a regular register.
type oracle struct {
	writes []oracleWrite
}

type oracleWrite struct {
	seq, guard uint64
	deletion   bool
	sent, end  int // end is the time of the acknowledgement
	acked      bool
	version    uint64 // 0 if not told
}

// A target is one answer that was given between begun and ended.
type target struct {
	begun, ended int
	holds        func(oracleState) bool
}

type oracleState struct {
	seq, version uint64
	deleted      bool
}

func (o *oracle) legal(t *target) bool {
	var ops []oracleWrite
	for _, w := range o.writes {
		if t == nil || w.sent < t.ended {
			ops = append(ops, w)
		}
	}
	return search(oracleState{}, ops, t)
}

// search tries every write that may come next: one that was sent before each of the others had to have taken effect.
func search(s oracleState, left []oracleWrite, t *target) bool {
	required := t != nil
	limit := 1 << 30
	if t != nil {
		limit = t.ended
	}
	for _, w := range left {
		if w.acked {
			required = true
			limit = min(limit, w.end)
		}
	}
	if !required {
		return true
	}
	if t != nil && t.begun < limit && t.holds(s) && search(s, left, nil) {
		return true
	}
	for i, w := range left {
		if w.sent > limit {
			continue
		}
		next := s
		switch {
		case w.deletion:
			next.deleted = true
		case s.deleted, w.guard != 0 && w.guard != s.version:
			continue // has no effect, and so was not acknowledged
		default:
			next.seq, next.version = w.seq, s.version+1
			if w.acked && w.version != 0 && w.version != next.version {
				continue
			}
		}
		if search(next, slices.Delete(slices.Clone(left), i, i+1), t) {
			return true
		}
	}
	return false
}
