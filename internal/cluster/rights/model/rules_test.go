package model

// rule is one that can be taken out, or a fault that can be planted. The numbers in the comments are those of doc.go.
type rule int

const (
	ruleSince          rule = iota // 1: who forgot its marks grants no lease on older evidence
	ruleBornFence                  // 1, 3: who forgot its leases refuses marks for F
	rulePromoted                   // 1: a promoted register is born, whatever it copied from its master
	ruleEpoch                      // 2: a register that knows a later epoch counts for nothing
	ruleMarkLease                  // 3: a mark is refused while a lease runs
	ruleVouch                      // 3: a register marks only while it sees M well itself
	ruleAge                        // 4: a lease is refused if the mark is younger than the evidence
	ruleMajority                   // 5: a majority, not any one
	ruleOneRound                   // 5: all answers of one round, which is shorter than a lease
	ruleFormers                    // 5, 11: also a majority of the masters before
	ruleFormersF                   // 11: ... for F
	ruleFormersAsk                 // 11: ... and until a majority of them knows no later epoch
	ruleMark                       // 6: each replica that lacks the write is marked
	ruleMarkAfter                  // 6: after the execution
	ruleAllReplicas                // 6: every replica, not any one
	ruleFormerReplicas             // 6: also the replicas of the former master
	ruleLease                      // 7: a read takes a lease
	ruleCheckFirst                 // 7: checked before the command is sent
	ruleFloor                      // 7: the replica is at the evidence's offset when it reads
	ruleReadRun                    // 7: and still has the evidence's run id
	ruleOldRun                     // 7: and had it before M was asked
	ruleHoldShorter                // 4, 7: a lease ends at its holder before it ends at a register
	ruleForceLease                 // 8: FORCE takes a lease
	ruleForceRun                   // 8: the script checks the run id
	ruleForceFloor                 // 8: the script checks the offset
	ruleDeadline                   // 8: the script checks the deadline
	ruleEffect                     // 8: F covers the election that FORCE started
	ruleFurthest                   // 8: no other replica is ahead
	ruleOwnMaster                  // 9: the master that was asked is that of the view
	ruleInStep                     // 9: the replica was listed and in step for longer than any answer about it is used
	ruleNothing                    // 10a: an epoch came to nothing only if every node says that it is at that epoch
	rulePromotedOnly               // 10b: a config epoch accounts for its epoch only if its owner was promoted in it
	ruleSeal                       // 10c: a seal is believed only if its masters are those of the view
	ruleLowest                     // a register takes only a key in the lowest slot that it owns
	ruleSameMasters                // 8: the replica itself knows the masters of the view
	ruleNoOldProof                 // fault: `single` on a majority's word that M is well, asked before the execution
	rules
)

var ruleNames = [rules]string{
	ruleSince:          "since",
	ruleBornFence:      "born fence",
	rulePromoted:       "born on promotion",
	ruleEpoch:          "epoch",
	ruleMarkLease:      "mark waits for lease",
	ruleVouch:          "vouch",
	ruleAge:            "age",
	ruleMajority:       "majority",
	ruleOneRound:       "one round",
	ruleFormers:        "joint quorum",
	ruleFormersF:       "joint quorum for F",
	ruleFormersAsk:     "joint quorum until asked",
	ruleMark:           "mark",
	ruleMarkAfter:      "execution before mark",
	ruleAllReplicas:    "every replica",
	ruleFormerReplicas: "replicas of the former master",
	ruleLease:          "lease for reads",
	ruleCheckFirst:     "check before send",
	ruleFloor:          "floor in the read",
	ruleReadRun:        "run id in the read",
	ruleOldRun:         "run id older than the question",
	ruleHoldShorter:    "holder ends first",
	ruleForceLease:     "lease for FORCE",
	ruleForceRun:       "run id in FORCE",
	ruleForceFloor:     "offset in FORCE",
	ruleDeadline:       "deadline in FORCE",
	ruleEffect:         "F covers the election",
	ruleFurthest:       "FORCE of the furthest",
	ruleSameMasters:    "same masters at the replica",
	ruleOwnMaster:      "evidence from the view's master",
	ruleInStep:         "in step for 3 s",
	ruleNothing:        "all at the epoch",
	rulePromotedOnly:   "promoted only",
	ruleSeal:           "seal of the same masters",
	ruleLowest:         "lowest slot",
	ruleNoOldProof:     "no old proof",
}

func (r rule) String() string { return ruleNames[r] }

// world is a configuration: what may happen, how often, and which rules are out.
type world struct {
	writes   uint8 // executed at M
	replicas uint8 // of M
	epochs   uint8 // the last epoch that an election may be asked for in

	restartsR uint8 // a replica restarts and loses any tail
	emptied   uint8 // a replica's full resync fails half way and leaves it empty
	restartsQ uint8 // a register restarts and forgets
	own       bool  // Redis elects by itself
	replaced  bool  // X2 may take over from X, which does not learn of it
	promoted  bool  // R may take over from M by agreement, and the writes are those at R, with R2 still at M
	moved     bool  // X's lowest slot may move away
	bump      bool  // a master may give itself an epoch
	attached  bool  // R may become a replica of M later, not from the start
	late      bool  // requests arrive when nobody waits for them any more
	noForce   bool  // nobody asks for FORCE
	noReads   bool  // nobody reads at a replica
	split     bool  // A only writes, B only takes leases, reads and asks for FORCE

	out [rules]bool
}

func (w *world) has(r rule) bool { return !w.out[r] }

// without is the same world with one rule taken out.
func (w world) without(r rule) *world {
	w.out[r] = true
	return &w
}

func (w *world) start() state {
	s := state{listed: !w.attached}
	for i := range s.inst {
		s.inst[i].knows = s.listed
	}
	return s
}

// quorum says whether the registers are enough for the instance: a majority of its masters, and of those before as long as these count.
func (w *world) quorum(in *instance, got mask) bool {
	if !w.has(ruleMajority) {
		return got != 0
	}
	if in.formers != formersGone && !got.majorityOf(mastersBefore) {
		return false
	}
	return got.majorityOf(w.masters(in))
}

func (w *world) masters(in *instance) mask {
	switch {
	case !in.after:
		return mastersBefore
	case w.promoted:
		return mastersPromoted
	}
	return mastersAfter
}

// changes says that the set of masters may change.
func (w *world) changes() bool { return w.replaced || w.promoted }

// asks is the set of registers that the instance sends its requests to.
func (w *world) asks(in *instance) mask {
	set := w.masters(in)
	if in.formers != formersGone {
		set |= mastersBefore
	}
	return set
}
