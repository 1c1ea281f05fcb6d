package model

// forceSteps are one instance's way to a promotion by force.
func (w *world) forceSteps(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	if w.noForce || w.decided(s, in.target) {
		return
	}
	r := in.target
	leased := w.quorum(in, in.lease) || !w.has(ruleForceLease)
	furthest := w.replicas == 1 || s.off[r] >= s.off[1-r] || !w.has(ruleFurthest)
	if in.force == forceNone && in.evidence == reached && leased && furthest {
		n := *s
		n.inst[i].force = forceSent
		yield(step{"sends FORCE", i, r}, n)
	}
	if in.force != forceSent {
		return
	}
	sameRun := !in.rerun || !w.has(ruleForceRun)
	atFloor := s.atFloor(in) || !w.has(ruleForceFloor)
	if sameRun && atFloor && !s.cand[r].running {
		w.startElection(s, r, i, step{"has FORCE executed", i, r}, yield)
	}
}

// startElection asks for votes in the epoch after the last that c knows: its own, or one that it heard of.
func (w *world) startElection(s *state, c, cause uint8, st step, yield func(step, state)) {
	for e := s.cand[c].epoch + 1; e <= min(s.top()+1, w.epochs); e++ {
		n := *s
		n.cand[c] = candidate{epoch: e, running: true, cause: cause}
		if cause != byRedis {
			n.inst[cause].force = forceDone
		}
		yield(st, n)
	}
}

// stopElection ends an election, won or not.
func (s *state) stopElection(c uint8) {
	if by := s.cand[c].cause; s.cand[c].running && by != byRedis {
		s.stopForce(by)
	}
	s.cand[c] = candidate{epoch: s.cand[c].epoch}
	for i := range s.inst {
		s.inst[i].waits &^= bit(2 + c)
	}
}

// stopForce ends what a FORCE can do. The lease runs on at the registers for longer than a round of marks: 2 L of F are for that.
func (s *state) stopForce(i uint8) {
	s.inst[i].force = forceNone
	for j := range s.inst {
		if in := &s.inst[j]; in.write != 0 {
			in.overlap |= s.inst[i].lease
		}
	}
}

// electionSteps are those of Redis: who asks, who votes, who wins.
func (w *world) electionSteps(s *state, yield func(step, state)) {
	for c := range candidates {
		mine := c < w.replicas || c == candX2 && w.replaced
		if !mine || w.decided(s, c) {
			continue
		}
		if !s.cand[c].running {
			if c == candX2 && s.cand[c].votes == 0 || c != candX2 && s.failed || c == candR && w.promoted {
				w.startElection(s, c, byRedis, step{"asks for votes by itself", c, 0}, yield)
			}
			continue
		}
		for q := range registers {
			if w.votes(s, c, q) {
				n := *s
				n.epoch[q], n.voted[q] = s.cand[c].epoch, s.cand[c].epoch
				n.cand[c].votes |= bit(q)
				yield(step{"votes for", c, q}, n)
			}
		}
		w.win(s, c, yield)
		if c != candX2 { // X2 asks once
			n := *s
			n.stopElection(c)
			yield(step{"counts votes no longer", c, 0}, n)
		}
	}
}

// decided says that c cannot win any more. R2 may still take over from M after R did, as it does not know.
func (w *world) decided(s *state, c uint8) bool {
	switch {
	case c == candX2:
		return s.replaced != 0
	case w.promoted && c == candR2:
		return s.winner == 1+candR2
	}
	return s.winner != 0
}

// votes says whether master q votes for c. X never learns that it was replaced.
func (w *world) votes(s *state, c, q uint8) bool {
	if q == fresh && (s.replaced == 0 || !w.replaced) {
		return false
	}
	own := c != candX2 && !w.promoted && s.cand[c].cause == byRedis
	if own && (!s.flags.has(q) || excludedDeposedVoter(w, s, q)) {
		return false
	}
	return s.epoch[q] <= s.cand[c].epoch && s.voted[q] < s.cand[c].epoch
}

// excludedDeposedVoter is residual (iii): a deposed master that does not know it votes in Redis' own election on the side without its
// successor. This is Redis' own split brain; no rule of ours can see it.
func excludedDeposedVoter(w *world, s *state, q uint8) bool {
	return w.replaced && s.replaced != 0 && q == regX
}

// win is an election's end if a majority voted, by either set of masters that the candidate may know.
func (w *world) win(s *state, c uint8, yield func(step, state)) {
	can := &s.cand[c]
	after := w.replaced && s.replaced != 0 && can.votes.majorityOf(mastersAfter)
	before := can.votes.majorityOf(mastersBefore)
	if before && c != candX2 && w.replaced && s.replaced != 0 && can.cause != byRedis && w.has(ruleSameMasters) && s.inst[can.cause].after {
		before = false
	}
	if !before && !after {
		return
	}
	n := *s
	if c == candX2 || w.promoted && c == candR {
		n.replaced = can.epoch
		n.epoch[fresh], n.voted[fresh] = can.epoch, can.epoch
		w.born(&n, fresh, !w.has(rulePromoted))
	}
	if c != candX2 {
		n.winner, n.own = c+1, can.cause == byRedis
		if n.own && s.off[c] < s.hard {
			n.bad = lostByRedis
		}
		if !n.own && s.off[c] < s.acked {
			n.bad = lostByForce
		}
	}
	n.stopElection(c)
	yield(step{"wins", c, 0}, n)
}

// born empties a register. A promoted one has what its master's replica had copied, at worst nothing: copied leaves out what birth adds.
func (w *world) born(s *state, q uint8, copied bool) {
	for r := range w.replicas {
		if w.has(ruleBornFence) && !copied {
			s.leased(q, r)
		} else {
			s.leases[r] &^= bit(q)
		}
	}
	for i := range s.inst {
		in := &s.inst[i]
		if q == fresh && in.lease != 0 {
			in.lease |= bit(q) // F from birth outlasts every lease from before, whoever granted it
		}
		if in.evidence == noEvidence || !w.has(ruleSince) || copied {
			in.young &^= bit(q)
		} else {
			in.young |= bit(q)
		}
	}
}
