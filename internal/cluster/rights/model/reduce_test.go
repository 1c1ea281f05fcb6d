package model

// reduce does at once what may happen now and takes nothing from anybody: the state after can do all that the state before could. It also
// clears what nobody will look at any more. So fewer states stand for the same behaviour; doc.go argues each case.
func (w *world) reduce(s *state) {
	for i := range uint8(len(s.inst)) {
		in := &s.inst[i]
		if in.evidence == asked && w.has(ruleOldRun) && s.atFloor(in) && s.winner != in.target+1 {
			in.evidence = reached
		}
		if w.useless(s, in) {
			if in.force == forceSent {
				s.stopForce(i)
			}
			in.forgetEvidence()
			s.drop(i)
		}
		if in.marked == [2]mask{} && in.write != 0 && w.afterExecution() {
			s.newRound(i)
		}
	}
	for r := range w.replicas {
		s.leases[r] &= w.needed(s, r)
	}
}

// needed is the set of registers whose leases on r matter: somebody counts on them, or a round of marks was open before.
func (w *world) needed(s *state, r uint8) mask {
	set := mask(0)
	for i := range s.inst {
		in := &s.inst[i]
		set |= in.overlap
		if in.target == r {
			set |= in.lease
		}
	}
	return set
}

// useless says that the evidence leads to no lease, read or FORCE any more.
func (w *world) useless(s *state, in *instance) bool {
	if in.force == forceDone || in.evidence == noEvidence {
		return false
	}
	if s.winner == in.target+1 {
		return true
	}
	if in.rerun && w.has(ruleReadRun) && w.has(ruleForceRun) {
		return true
	}
	open := in.read != 0 || in.force != forceNone
	strict := w.has(ruleAge) && w.has(ruleLease) && w.has(ruleForceLease)
	return strict && !open && !w.quorum(in, in.lease|w.asks(in)&^in.young)
}

func (in *instance) forgetEvidence() {
	in.target, in.evidence, in.floor, in.young, in.rerun = 0, noEvidence, 0, 0, false
	in.read, in.got = 0, 0
}

// over says that no violation can follow: another node took over, and M executed nothing that it lacks and that may still be acknowledged.
func (w *world) over(s *state) bool {
	if s.winner == 0 || s.log < w.writes || w.replicas > 1 {
		return false
	}
	for i := range s.inst {
		if s.inst[i].write > s.off[s.winner-1] {
			return false
		}
	}
	return true
}
