package model

// leaseSteps are the ways of one instance to a lease on a replica, and out of it.
func (w *world) leaseSteps(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	for r := range w.replicas {
		if !w.mayEnd(in) || !s.listed || w.has(ruleInStep) && !(s.inst[0].knows && s.inst[1].knows) {
			break
		}
		if w.promoted && (r == candR || in.after) {
			continue
		}
		n := *s
		n.endLease(i)
		if w.has(ruleCheckFirst) {
			n.inst[i].read = 0
		}
		n.inst[i].target, n.inst[i].evidence, n.inst[i].floor = r, asked, s.log
		if w.promoted { // the writes are not at M
			n.inst[i].floor = 0
		}
		n.inst[i].young, n.inst[i].rerun = 0, false
		yield(step{"asks M for its offset", i, r}, n)
	}
	if in.evidence == asked && s.atFloor(in) && s.winner != in.target+1 {
		n := *s
		n.inst[i].evidence = reached
		yield(step{"sees the replica reach that offset", i, in.target}, n)
	}
	if in.evidence == reached {
		for q := range registers {
			if !w.grants(s, in, q) {
				continue
			}
			n := *s
			n.inst[i].lease |= bit(q)
			n.leased(q, in.target)
			yield(step{"is granted a lease", i, q}, n)
		}
	}
}

// grants is rule 4. Whatever else a register may refuse for, it may also grant.
func (w *world) grants(s *state, in *instance, q uint8) bool {
	if in.lease.has(q) || !w.answers(s, in, q) {
		return false
	}
	return !w.has(ruleAge) || !in.young.has(q)
}

// leased notes a lease, or a birth, at q: marks on r are refused from now on.
func (s *state) leased(q, r uint8) {
	s.leases[r] |= bit(q)
	for j := range s.inst {
		if in := &s.inst[j]; in.write != 0 {
			in.overlap |= bit(q)
		}
	}
}

// mayEnd says when the time of a lease may be over: not before that of the election which its FORCE started.
func (w *world) mayEnd(in *instance) bool { return in.force != forceDone || !w.has(ruleEffect) }

// endLease ends what an instance holds, and the FORCE that is on its way under it.
func (s *state) endLease(i uint8) {
	if s.inst[i].force == forceSent {
		s.stopForce(i)
	}
	s.drop(i)
}

func (s *state) drop(i uint8) {
	s.inst[i].lease = 0
	for j := range s.inst {
		s.inst[j].waits &^= bit(i)
	}
}

// expire ends what makes q refuse marks on r. Whoever counted on its grant stopped before; a round of marks is shorter than a lease, so
// one that was open before is over too.
func (w *world) expire(s *state, q, r uint8, yield func(step, state)) {
	if !s.leases[r].has(q) {
		return
	}
	n := *s
	for i := range n.inst {
		in := &n.inst[i]
		if in.target != r || !in.lease.has(q) || !w.has(ruleHoldShorter) {
			continue
		}
		if !w.mayEnd(in) {
			return
		}
		if in.force == forceSent && !w.has(ruleDeadline) {
			n.drop(uint8(i))
		} else {
			n.endLease(uint8(i))
		}
	}
	n.leases[r] &^= bit(q)
	for i := range n.inst {
		if n.inst[i].overlap.has(q) && w.has(ruleOneRound) {
			n.newRound(uint8(i))
		}
	}
	yield(step{"refuses marks no longer", 0, q}, n)
}

// readSteps are a read at a replica. Between the check and the command, and on the command's way, anything may happen.
func (w *world) readSteps(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	if w.noReads {
		return
	}
	leased := in.evidence == reached && (w.quorum(in, in.lease) || !w.has(ruleLease))
	if in.read < 1+s.acked && in.got == 0 && in.evidence == reached && (leased || !w.has(ruleCheckFirst)) {
		n := *s
		n.inst[i].read = 1 + s.acked
		yield(step{"begins a read", i, in.target}, n)
	}
	if in.read == 0 {
		return
	}
	has := s.off[in.target]
	atFloor := s.atFloor(in) || !w.has(ruleFloor)
	sameRun := !in.rerun || !w.has(ruleReadRun)
	if atFloor && sameRun && s.winner != in.target+1 {
		n := *s
		n.inst[i].got = 1 + has
		if w.has(ruleCheckFirst) {
			n.endRead(i)
		}
		yield(step{"reads", i, in.target}, n)
	}
	if in.got != 0 && leased {
		n := *s
		n.endRead(i)
		yield(step{"takes the answer that it got", i, in.target}, n)
	}
}

// endRead judges an answer: it must show all that was acknowledged before the read began.
func (s *state) endRead(i uint8) {
	in := &s.inst[i]
	if in.got < in.read {
		s.bad = staleRead
	}
	in.read, in.got = 0, 0
}
