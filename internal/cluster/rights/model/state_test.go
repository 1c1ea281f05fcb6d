package model

import (
	"bytes"
	"math/bits"
	"unsafe"
)

// mask is a set of registers, or of instances: bit n stands for number n.
type mask uint8

func bit[T ~uint8 | ~int](n T) mask { return 1 << n }

func (m mask) has(n uint8) bool { return m&bit(n) != 0 }

// atFloor says that a replica tells an offset that is not below the evidence's. An empty one tells none.
func (s *state) atFloor(in *instance) bool {
	return s.off[in.target] >= in.floor && !s.empty.has(in.target)
}

func (m mask) majorityOf(set mask) bool {
	return 2*bits.OnesCount8(uint8(m&set)) > bits.OnesCount8(uint8(set))
}

// The registers. fresh is the one that comes later: the master X2 that replaces X, or R once promoted, or, where a slot moves, the key in
// X's new lowest slot.
const (
	regM uint8 = iota
	regX
	regY
	fresh
	registers
)

const (
	mastersBefore = mask(1<<regM | 1<<regX | 1<<regY)
	mastersAfter  = mask(1<<regM | 1<<fresh | 1<<regY)

	mastersPromoted = mask(1<<fresh | 1<<regX | 1<<regY)
)

// The candidates of an election: the two replicas of M, and X2, the replica of X.
const (
	candR uint8 = iota
	candR2
	candX2
	candidates
)

// byRedis is the cause of an election that no instance asked for. A lower number is the instance that did.
const byRedis = 2

// invariant names what a state violates.
type invariant uint8

const (
	holds       invariant = iota
	lostByForce           // I1: an election that an instance asked for lost an acknowledged write
	lostByRedis           // I1: acknowledged at M although Redis had elected another, or while a majority had M flagged as failed
	staleRead             // I2, I3: a read under a lease lacks a write that was acknowledged before it began
)

func (v invariant) String() string {
	return [...]string{"holds", "I1 lost by FORCE", "I1 lost by Redis' own election", "I2 stale read"}[v]
}

// instance is one sessiond. Round trips are one step, at the moment when the node handles the request: what the instance decides on the
// answers is a step of its own, any time later.
type instance struct {
	// Writing: the write in hand (0: none), the registers that marked each replica in the open round, and those that granted a lease since it began.
	write   uint8
	marked  [2]mask
	overlap mask
	calm    bool // at some moment since the round began, no majority had M flagged
	late    bool // the round began after an election was won

	// Evidence that a replica is in step: none, asked (M named its offset), reached.
	target   uint8
	evidence uint8
	floor    uint8 // the writes that M had when it was asked
	young    mask  // registers that marked the replica, or were born, since M was asked
	rerun    bool  // the replica restarted since it was seen at the floor

	// The lease: registers that granted it. The read under it: 1 + the newest write acknowledged when it began, and what the replica answered
	// (1 + its writes; only where the lease is checked too late). FORCE: none, on its way, executed.
	lease mask
	read  uint8
	got   uint8
	force uint8

	// The view: masters before or after X was replaced, the epochs accounted for, and how far the set of masters before is on its way out.
	after   bool
	epoch   uint8
	formers uint8
	waits   mask // what began before the view was adopted: leases, bit 0 and 1 by instance; elections, from bit 2 on by candidate
	clean   mask
	knows   bool // that R is a replica of M
}

const (
	noEvidence uint8 = iota
	asked
	reached
)

const (
	forceNone uint8 = iota
	forceSent
	forceDone
)

const (
	formersGone uint8 = iota
	formersFresh
	formersAged
)

// candidate is a replica and the election that it runs.
type candidate struct {
	epoch   uint8 // its own currentEpoch
	running bool
	cause   uint8
	votes   mask
}

// state is the world at one moment.
type state struct {
	log   uint8    // writes executed at M
	off   [2]uint8 // writes that each replica has
	empty mask     // replicas that a failed full resync left empty
	acked uint8    // newest acknowledged write
	hard  uint8    // newest one acknowledged in a round in which a majority never saw M well

	leases [2]mask // registers that refuse marks on replica r: a lease runs, or they were born less than F ago
	epoch  [registers]uint8
	voted  [registers]uint8

	flags  mask // masters that have M flagged as failed
	failed bool // the replicas believe that M failed

	cand     [candidates]candidate
	winner   uint8 // 1 + the replica that took over from M
	own      bool  // by Redis' own election
	replaced uint8 // the epoch in which X2 won; where a slot moves: 1
	bumped   uint8 // the epoch that a master gave itself
	sealed   [2]uint8
	listed   bool // M lists R as its replica

	restartsR, restartsQ, emptied uint8
	inst                          [2]instance
	bad                           invariant
}

// bytes is the state as it lies in memory: it has no padding and no pointers, so equal states are equal bytes.
func (s *state) bytes() []byte {
	return (*[unsafe.Sizeof(state{})]byte)(unsafe.Pointer(s))[:]
}

// canonical is the least of the states that differ only in names: of the instances, of X and Y, and of the replicas, where these are alike.
func (w *world) canonical(s state) state {
	least := s
	w.renameReplicas(s, &least)
	if !w.split {
		s.swapInstances()
		w.renameReplicas(s, &least)
	}
	return least
}

func (w *world) renameReplicas(s state, least *state) {
	w.renameMasters(s, least)
	if w.replicas == 2 && !w.promoted {
		s.swapReplicas()
		w.renameMasters(s, least)
	}
}

func (w *world) renameMasters(s state, least *state) {
	least.min(&s)
	if !w.replaced && !w.moved {
		s.swapXY()
		least.min(&s)
	}
}

func (s *state) min(t *state) {
	if bytes.Compare(t.bytes(), s.bytes()) < 0 {
		*s = *t
	}
}

func (s *state) swapReplicas() {
	s.off[0], s.off[1] = s.off[1], s.off[0]
	s.leases[0], s.leases[1] = s.leases[1], s.leases[0]
	s.empty = s.empty>>1 | s.empty&1<<1
	s.cand[candR], s.cand[candR2] = s.cand[candR2], s.cand[candR]
	if s.winner != 0 {
		s.winner = 3 - s.winner
	}
	for i := range s.inst {
		in := &s.inst[i]
		in.marked[0], in.marked[1] = in.marked[1], in.marked[0]
		if in.evidence != noEvidence {
			in.target ^= 1
		}
		in.waits = in.waits&3 | in.waits>>1&4 | in.waits&4<<1
	}
}

func (s *state) swapInstances() {
	s.inst[0], s.inst[1] = s.inst[1], s.inst[0]
	for i := range s.inst {
		w := s.inst[i].waits
		s.inst[i].waits = w&^3 | w>>1&1 | w&1<<1
	}
	for c := range s.cand {
		if s.cand[c].running && s.cand[c].cause != byRedis {
			s.cand[c].cause ^= 1
		}
	}
}

func (s *state) swapXY() {
	swap := func(m *mask) { *m = *m&^(1<<regX|1<<regY) | *m>>1&(1<<regX) | *m<<1&(1<<regY) }
	s.epoch[regX], s.epoch[regY] = s.epoch[regY], s.epoch[regX]
	s.voted[regX], s.voted[regY] = s.voted[regY], s.voted[regX]
	swap(&s.flags)
	for r := range s.leases {
		swap(&s.leases[r])
	}
	for c := range s.cand {
		swap(&s.cand[c].votes)
	}
	for i := range s.inst {
		in := &s.inst[i]
		for _, m := range []*mask{&in.marked[0], &in.marked[1], &in.overlap, &in.young, &in.lease, &in.clean} {
			swap(m)
		}
	}
}
