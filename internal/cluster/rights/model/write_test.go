package model

// writeSteps are the ways of one instance to an acknowledged write.
func (w *world) writeSteps(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	if in.write == 0 && s.log < w.writes && (in.after || !w.promoted) {
		n := *s
		n.log++
		if w.promoted {
			n.off[candR] = n.log
		}
		n.inst[i].write = n.log
		if w.afterExecution() {
			n.newRound(i)
		}
		yield(step{"executes a write", i, 0}, n)
	}
	if in.write == 0 && w.afterExecution() {
		return
	}
	for q := range registers {
		for r := range w.replicas {
			if w.mustHave(in, r) && w.marks(s, in, q, r) {
				n := *s
				n.inst[i].marked[r] |= bit(q)
				if w.has(ruleNoOldProof) {
					n.mark(q, r)
				}
				yield(step{"marks", i, q}, n)
			}
		}
	}
	if in.overlap != 0 || in.calm && !s.calm() || !in.late && s.winner != 0 {
		n := *s
		n.newRound(i)
		yield(step{"starts a new round of marks", i, 0}, n)
	}
	if in.write != 0 && w.writes > 1 {
		n := *s
		n.inst[i].write = 0
		n.newRound(i)
		yield(step{"gives up its write", i, 0}, n)
	}
	if in.write != 0 {
		w.acknowledge(s, i, yield)
	}
}

// afterExecution says that only marks count which were asked for after the write was executed.
func (w *world) afterExecution() bool { return w.has(ruleMarkAfter) && w.has(ruleNoOldProof) }

// newRound forgets what was collected. Answers to the round before count for nothing.
func (s *state) newRound(i uint8) {
	in := &s.inst[i]
	in.marked, in.overlap = [2]mask{}, 0
	in.calm = in.write != 0 && s.calm()
	in.late = in.write != 0 && s.winner != 0
}

// calm says that no majority has M flagged.
func (s *state) calm() bool { return !s.flags.majorityOf(mastersBefore) || excludedDeposedWitness(s) }

// excludedDeposedWitness is the other half of residual (iii): after X was replaced, one set of masters may have M flagged while the other,
// in which the deposed X or its successor counts, has not. One of the two is enough to call M well.
func excludedDeposedWitness(s *state) bool {
	return s.replaced != 0 && !s.flags.majorityOf(mastersAfter)
}

// answers says whether register q answers the instance at all, and not "epoch".
func (w *world) answers(s *state, in *instance, q uint8) bool {
	if !w.asks(in).has(q) || w.has(ruleEpoch) && s.epoch[w.node(q)] > in.epoch {
		return false
	}
	if q == fresh {
		return s.replaced != 0
	}
	return !(w.moved && q == regX && s.replaced != 0 && w.has(ruleLowest))
}

// node is the master that has the register: where a slot moves, X has two keys.
func (w *world) node(q uint8) uint8 {
	if w.moved && q == fresh {
		return regX
	}
	return q
}

// marks says whether register q marks replica r for the instance, and did not before.
func (w *world) marks(s *state, in *instance, q, r uint8) bool {
	if in.marked[r].has(q) || !w.answers(s, in, q) {
		return false
	}
	if w.has(ruleMarkLease) && w.has(ruleNoOldProof) && s.leases[r].has(q) {
		return false
	}
	return !w.has(ruleVouch) || !s.flags.has(w.node(q))
}

// mark makes all evidence on r too old for a lease at q.
func (s *state) mark(q, r uint8) {
	for j := range s.inst {
		if in := &s.inst[j]; in.evidence != noEvidence && in.target == r {
			in.young |= bit(q)
		}
	}
}

// mustHave says whether a write must be in r, or r marked: it is a replica by the view, by the master, or of the former master.
func (w *world) mustHave(in *instance, r uint8) bool {
	if w.promoted {
		return r == candR2 && w.has(ruleFormerReplicas)
	}
	return r != candR || in.knows
}

// acknowledge is rule 6: each replica has the write, or is marked as lacking it.
func (w *world) acknowledge(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	replicated, covered, some := true, true, false
	for r := range w.replicas {
		if !w.mustHave(in, r) {
			continue
		}
		has := s.off[r] >= in.write
		replicated = replicated && has
		some = some || has
		covered = covered && (has || w.quorum(in, in.marked[r]) || !w.has(ruleMark))
	}
	if !w.has(ruleAllReplicas) && some {
		replicated, covered = true, true
	}
	if !covered {
		return
	}
	n := *s
	n.acked = max(n.acked, in.write)
	if !replicated && !in.calm {
		n.hard = max(n.hard, in.write)
	}
	if s.winner != 0 && s.off[s.winner-1] < in.write {
		if !s.own {
			n.bad = lostByForce
		} else if !replicated && (in.late || !in.calm) {
			n.bad = lostByRedis
		}
	}
	n.inst[i].write = 0
	n.newRound(i)
	what := "acknowledges its write as single"
	if replicated {
		what = "acknowledges its write as replicated"
	}
	yield(step{what, i, 0}, n)
}
