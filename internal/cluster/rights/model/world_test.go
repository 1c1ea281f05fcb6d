package model

import "fmt"

// next yields every state that may follow.
func (w *world) next(s state, reduced func(step, state)) {
	if w.over(&s) {
		return
	}
	yield := func(st step, n state) {
		w.reduce(&n)
		reduced(st, n)
	}
	for i := range uint8(len(s.inst)) {
		if !w.split || i == 0 {
			w.writeSteps(&s, i, yield)
		}
		if !w.split || i == 1 {
			w.leaseSteps(&s, i, yield)
			w.readSteps(&s, i, yield)
			w.forceSteps(&s, i, yield)
		}
		w.viewSteps(&s, i, yield)
	}
	for q := range registers {
		for r := range w.replicas {
			w.expire(&s, q, r, yield)
			if w.late {
				w.lateSteps(&s, q, r, yield)
			}
		}
		w.registerSteps(&s, q, yield)
	}
	w.replicaSteps(&s, yield)
	w.electionSteps(&s, yield)
}

// lateSteps are requests of rounds that are over, doubled or not: whoever sent them, they have an effect and no asker.
func (w *world) lateSteps(s *state, q, r uint8, yield func(step, state)) {
	if q == fresh && s.replaced == 0 {
		return
	}
	if s.log > 0 && !(w.has(ruleMarkLease) && s.leases[r].has(q)) {
		n := *s
		n.mark(q, r)
		yield(step{"obeys a late MARK", 0, q}, n)
	}
	if !s.leases[r].has(q) {
		n := *s
		n.leased(q, r)
		yield(step{"obeys a late LEASE", 0, q}, n)
	}
}

// registerSteps are what happens to a master.
func (w *world) registerSteps(s *state, q uint8, yield func(step, state)) {
	exists := q != fresh || w.replaced && s.replaced != 0
	if !exists {
		return
	}
	if s.restartsQ < w.restartsQ {
		n := *s
		n.restartsQ++
		w.born(&n, q, false)
		yield(step{"restarts and forgets its register", 0, q}, n)
	}
	for e := s.epoch[q] + 1; w.bump && s.bumped == 0 && e <= min(s.top()+1, w.epochs); e++ {
		n := *s
		n.epoch[q], n.bumped = e, e
		w.born(&n, q, false)
		yield(step{"takes a slot in, and an epoch without votes", 0, q}, n)
	}
	if w.own && q != regM {
		n := *s
		n.flags ^= bit(q)
		if n.calm() {
			n.hard = 0
			for i := range n.inst {
				n.inst[i].calm = n.inst[i].write != 0
			}
		}
		yield(step{"changes its mind about M", 0, q}, n)
	}
}

// top is the latest epoch that anybody knows.
func (s *state) top() uint8 {
	top := uint8(0)
	for _, e := range s.epoch {
		top = max(top, e)
	}
	for _, c := range s.cand {
		top = max(top, c.epoch)
	}
	return top
}

// replicaSteps are replication and restarts of the replicas, and the one move of a slot.
func (w *world) replicaSteps(s *state, yield func(step, state)) {
	for r := range w.replicas {
		if s.off[r] < s.log && s.winner == 0 && s.listed && !s.empty.has(r) {
			n := *s
			n.off[r]++
			yield(step{"gets the next write", 0, r}, n)
		}
		if s.restartsR < w.restartsR && s.winner != r+1 {
			w.restart(s, r, yield)
		}
	}
	w.resync(s, yield)
	if !s.listed {
		n := *s
		n.listed = true
		yield(step{"becomes a replica of M", 0, 0}, n)
	}
	if !s.failed && !s.calm() {
		n := *s
		n.failed = true
		yield(step{"believes that M failed", 0, 0}, n)
	}
	if w.moved && s.replaced == 0 {
		n := *s
		n.replaced = 1
		w.born(&n, fresh, false)
		yield(step{"has another lowest slot", 0, regX}, n)
	}
}

// resync empties a replica in the midst of its run, or fills it again.
func (w *world) resync(s *state, yield func(step, state)) {
	for r := range w.replicas {
		if s.winner != 0 {
			return
		}
		n := *s
		n.empty ^= bit(r)
		if s.empty.has(r) {
			n.off[r] = s.log
			yield(step{"has a full copy", 0, r}, n)
		} else if s.emptied < w.emptied && !excludedEmptiedCandidate(s, r) {
			n.emptied++
			n.off[r] = 0
			yield(step{"is left empty by a full resync", 0, r}, n)
		}
	}
}

// excludedEmptiedCandidate is a residual: a full resync that begins and fails within the election which FORCE started, some milliseconds.
// No check before the election can see it.
func excludedEmptiedCandidate(s *state, r uint8) bool { return s.cand[r].running }

// restart loses any tail, and the election that ran.
func (w *world) restart(s *state, r uint8, yield func(step, state)) {
	for off := range s.off[r] + 1 {
		n := *s
		n.restartsR++
		n.off[r] = off
		if n.cand[r].running {
			n.stopElection(r)
		}
		for i := range n.inst {
			if in := &n.inst[i]; in.target == r && (in.evidence == reached || in.evidence == asked && w.has(ruleOldRun)) {
				in.rerun = true
			}
		}
		yield(step{fmt.Sprintf("restarts with %d writes", off), 0, r}, n)
	}
}
