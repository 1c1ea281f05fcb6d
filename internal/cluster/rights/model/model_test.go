package model

import (
	"flag"
	"testing"
)

var deep = flag.Bool("deep", false, "explore the larger bounds too: some minutes and some gigabytes each")

// The configurations. In those with split roles A only writes and B only reads and promotes: a violation takes one of each, and what
// instances share otherwise is their view, which "roles mixed" covers.
var (
	mixed       = world{writes: 1, replicas: 1, epochs: 1}
	plain       = world{split: true, writes: 1, replicas: 1, epochs: 1}
	late        = world{split: true, writes: 1, replicas: 1, epochs: 1, late: true, restartsQ: 1}
	twoWrites   = world{split: true, writes: 2, replicas: 1, epochs: 1, restartsQ: 1}
	restarts    = world{split: true, writes: 1, replicas: 1, epochs: 1, restartsQ: 1, restartsR: 1}
	emptied     = world{split: true, writes: 1, replicas: 1, epochs: 1, emptied: 1}
	attached    = world{split: true, writes: 1, replicas: 1, epochs: 1, attached: true}
	own         = world{split: true, writes: 1, replicas: 1, epochs: 2, own: true, noReads: true}
	bumped      = world{split: true, writes: 1, replicas: 1, epochs: 2, bump: true, noReads: true}
	replaced    = world{split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noForce: true}
	replacedFor = world{split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noReads: true}
	moved       = world{split: true, writes: 1, replicas: 1, epochs: 1, moved: true}
	twoReplicas = world{split: true, writes: 1, replicas: 2, epochs: 1}
)

// whole is how many states a configuration may have. More is a mistake in the model, and would eat the machine.
const whole = 60_000_000

func TestNothingAcknowledgedIsLostAndNoReadIsStale(t *testing.T) {
	for _, c := range []struct {
		name  string
		deep  bool
		world world
	}{
		{"roles mixed", false, mixed},
		{"late and doubled messages", false, late},
		{"two writes, a register forgets", false, twoWrites},
		{"a replica and a register restart", false, restarts},
		{"a failed full resync", false, emptied},
		{"a replica that comes later", false, attached},
		{"Redis elects by itself", false, own},
		{"an epoch without votes", false, bumped},
		{"a master is replaced, reads", false, replaced},
		{"a slot moves", false, moved},
		{"two replicas", false, twoReplicas},

		{"a master is replaced, FORCE", true, replacedFor},
		{"roles mixed, a register forgets", true, world{writes: 1, replicas: 1, epochs: 1, restartsQ: 1}},
		{"roles mixed, a replica restarts", true, world{writes: 1, replicas: 1, epochs: 1, restartsR: 1}},
		{"two writes, two epochs, all restarts", true, world{split: true, writes: 2, replicas: 1, epochs: 2, restartsQ: 1, restartsR: 1}},
		{"Redis elects by itself, restarts", true, world{split: true, writes: 1, replicas: 1, epochs: 2, own: true, restartsQ: 1, restartsR: 1}},
		{"two replicas, one restarts", true, world{split: true, writes: 1, replicas: 2, epochs: 1, restartsR: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.deep && !*deep {
				t.Skip("only with -deep")
			}
			f := explore(&c.world, whole)
			if f.bad != holds || !f.whole {
				t.Fatal(f)
			}
			t.Log(f)
		})
	}
}

func TestEachRuleIsNeeded(t *testing.T) {
	for _, c := range []struct {
		rule  rule
		world world
		bad   invariant
	}{
		{ruleSince, restarts, staleRead},
		{ruleBornFence, restarts, staleRead},
		{rulePromoted, replaced, staleRead},
		{ruleEpoch, plain, lostByForce},
		{ruleEpoch, own, lostByRedis},
		{ruleMarkLease, plain, staleRead},
		{ruleVouch, own, lostByRedis},
		{ruleAge, plain, staleRead},
		{ruleMajority, plain, staleRead},
		{ruleOneRound, plain, lostByForce},
		{ruleFormers, replacedFor, lostByForce},
		{ruleFormersF, replacedFor, lostByForce},
		{ruleFormersAsk, replacedFor, lostByForce},
		{ruleMark, plain, staleRead},
		{ruleMarkAfter, plain, staleRead},
		{ruleAllReplicas, twoReplicas, staleRead},
		{ruleLease, plain, staleRead},
		{ruleCheckFirst, plain, staleRead},
		{ruleFloor, emptied, staleRead},
		{ruleReadRun, restarts, staleRead},
		{ruleOldRun, restarts, staleRead},
		{ruleHoldShorter, plain, staleRead},
		{ruleForceLease, plain, lostByForce},
		{ruleForceRun, restarts, lostByForce},
		{ruleForceFloor, emptied, lostByForce},
		{ruleDeadline, plain, lostByForce},
		{ruleEffect, plain, lostByForce},
		{ruleInStep, attached, staleRead},
		{ruleNothing, bumped, lostByForce},
		{rulePromotedOnly, bumped, lostByForce},
		{ruleSeal, plain, lostByForce},
		{ruleLowest, moved, staleRead},
		{ruleSameMasters, replacedFor, lostByForce},
	} {
		t.Run(c.rule.String(), func(t *testing.T) { mustFind(t, c.world.without(c.rule), c.bad) })
	}
}

// The faults that the rules were made for, as they were.
func TestOldFaultsAreFound(t *testing.T) {
	t.Run("single on the word of a majority that M is well", func(t *testing.T) {
		mustFind(t, plain.without(ruleNoOldProof), staleRead)
	})
	t.Run("a stand-in without a lease", func(t *testing.T) { mustFind(t, plain.without(ruleLease), staleRead) })
	t.Run("WAIT 1 with two replicas", func(t *testing.T) { mustFind(t, twoReplicas.without(ruleAllReplicas), staleRead) })
}

// The furthest replica keeps what was executed and not acknowledged. No invariant needs it: a lease on any replica proves that it has all
// that was acknowledged.
func TestForceOfTheFurthestIsCourtesy(t *testing.T) {
	if f := explore(twoReplicas.without(ruleFurthest), whole); f.bad != holds || !f.whole {
		t.Fatal(f)
	}
}

func mustFind(t *testing.T, w *world, want invariant) {
	t.Helper()
	f := explore(w, whole)
	if f.bad != want {
		t.Fatalf("found %v, want %v", f, want)
	}
	t.Log(f)
}
