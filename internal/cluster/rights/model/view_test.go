package model

import "fmt"

// viewSteps are how an instance learns who is who, and which epochs it accounts for.
func (w *world) viewSteps(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	if !in.knows && s.listed {
		n := *s
		n.inst[i].knows = true
		yield(step{"learns that R is a replica", i, 0}, n)
	}
	if s.replaced != 0 && !in.after {
		w.adopt(s, i, yield)
	}
	w.account(s, i, yield)
	w.believe(s, i, yield)
	if in.formers == formersFresh && (in.waits == 0 || !w.has(ruleFormersF)) {
		n := *s
		n.inst[i].age(w)
		yield(step{"has had its view for F", i, 0}, n)
	}
	if in.formers != formersAged {
		return
	}
	for q := range fresh {
		if in.clean.has(q) || s.epoch[q] > in.epoch {
			continue
		}
		n := *s
		n.inst[i].clean |= bit(q)
		if n.inst[i].clean.majorityOf(mastersBefore) {
			n.inst[i].formers, n.inst[i].clean = formersGone, 0
		}
		yield(step{"asks a former master, which knows no later epoch", i, q}, n)
	}
}

// age ends the first part of rule 11.
func (in *instance) age(w *world) {
	in.formers = formersAged
	if !w.has(ruleFormersAsk) {
		in.formers = formersGone
	}
}

// adopt takes the view with the new master, or with the new lowest slot. A lease held by the old view runs on at the registers only.
func (w *world) adopt(s *state, i uint8, yield func(step, state)) {
	if !w.mayEnd(&s.inst[i]) {
		return
	}
	n := *s
	n.endLease(i)
	in := &n.inst[i]
	in.after = true
	n.newRound(i)
	if w.promoted && w.has(ruleOwnMaster) {
		in.forgetEvidence()
	}
	if w.changes() {
		if in.epoch+1 == s.replaced {
			in.epoch = s.replaced
		}
		if w.has(ruleFormers) {
			in.formers = formersFresh
			for c := range candX2 {
				if s.cand[c].running {
					in.waits |= bit(2 + c)
				}
			}
			for j := range s.inst {
				if n.inst[j].lease != 0 {
					in.waits |= bit(j)
				}
			}
		}
	}
	yield(step{"adopts the new view", i, 0}, n)
}

// account is rule 10 (a), and (b) for an epoch that a master gave itself, which is taken only where the rule is out.
func (w *world) account(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	if !w.has(rulePromotedOnly) && s.bumped == in.epoch+1 {
		n := *s
		n.inst[i].epoch++
		yield(step{"accounts for the epoch of the bumped master", i, 0}, n)
	}
	if w.changes() && in.after && s.replaced == in.epoch+1 {
		n := *s
		n.inst[i].epoch++
		yield(step{"accounts for the epoch of X2", i, 0}, n)
	}
	if s.winner != 0 || w.replaced && s.replaced != 0 {
		return // nodes do not agree as long as X does not know
	}
	top := s.top()
	if top == in.epoch {
		return
	}
	for c := range s.cand {
		if s.cand[c].running { // four node timeouts later none of these runs
			return
		}
	}
	n := *s
	n.inst[i].epoch = top
	n.sealed[0] = max(n.sealed[0], top)
	if w.has(ruleNothing) {
		w.raise(&n, top)
	}
	yield(step{fmt.Sprintf("finds that the epochs up to %d came to nothing", top), i, 0}, n)
}

// raise is gossip: all nodes hear of the epoch. It stands nowhere else, since a node that knows more only refuses more.
func (w *world) raise(s *state, e uint8) {
	for q := range fresh {
		s.epoch[q] = e
	}
	for c := range candidates {
		if c < w.replicas || c == candX2 && w.replaced {
			s.cand[c].epoch = e
		}
	}
}

// believe is rule 10 (c). Whoever saw R win has sealed that epoch too, with R among the masters.
func (w *world) believe(s *state, i uint8, yield func(step, state)) {
	in := &s.inst[i]
	seal := uint8(0)
	if !in.after {
		seal = s.sealed[0]
	}
	if !w.has(ruleSeal) {
		seal = max(s.sealed[0], s.replaced)
		if s.winner != 0 {
			seal = max(seal, s.cand[s.winner-1].epoch)
		}
	}
	if seal > in.epoch {
		n := *s
		n.inst[i].epoch = seal
		yield(step{"believes a seal", i, 0}, n)
	}
}
