package model

import (
	"flag"
	"testing"
)

var deep = flag.Bool("deep", false, "explore the larger bounds too: some minutes and some gigabytes")

// The configurations. In those with split roles A only writes and B only reads and promotes: a violation takes one of each.
var (
	mixed    = world{writes: 1, replicas: 1, epochs: 1}
	plain    = world{split: true, writes: 1, replicas: 1, epochs: 1}
	late     = world{split: true, writes: 1, replicas: 1, epochs: 1, late: true, restartsQ: 1}
	writes   = world{split: true, writes: 2, replicas: 1, epochs: 1, restartsQ: 1}
	restarts = world{split: true, writes: 1, replicas: 1, epochs: 1, restartsQ: 1, restartsR: 1}
	emptied  = world{split: true, writes: 1, replicas: 1, epochs: 1, emptied: 1}
	attached = world{split: true, writes: 1, replicas: 1, epochs: 1, attached: true}
	own      = world{split: true, writes: 1, replicas: 1, epochs: 2, own: true, noReads: true}
	bumped   = world{split: true, writes: 1, replicas: 1, epochs: 2, bump: true, noReads: true}
	replaced = world{split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noForce: true}
	usurped  = world{split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noReads: true}
	orphaned = world{split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, own: true, noForce: true, noReads: true}
	promoted = world{split: true, writes: 1, replicas: 2, epochs: 2, promoted: true}
	moved    = world{split: true, writes: 1, replicas: 1, epochs: 1, moved: true}
	siblings = world{split: true, writes: 1, replicas: 2, epochs: 1}
)

// effort says how much a search takes, and so where it runs.
type effort int

const (
	quick    effort = iota // everywhere
	thorough               // some seconds: not with -short, and not with the race detector, which has nothing to find here
	vast                   // only with -deep
)

// allowed reports whether a search of this effort runs here.
func (e effort) allowed() bool {
	return e == quick || *deep || e == thorough && !testing.Short() && !raceDetector
}

// whole is how many states a configuration may have. More is a mistake in the model, and would eat the machine.
const whole = 60_000_000

func TestNothingAcknowledgedIsLostAndNoReadIsStale(t *testing.T) {
	for _, c := range []struct {
		name   string
		effort effort
		world  world
	}{
		{"one replica", quick, plain},
		{"one replica, both instances do everything", thorough, mixed},
		{"late and doubled messages", quick, late},
		{"two writes, and a register forgets", thorough, writes},
		{"a replica and a register restart", quick, restarts},
		{"a full resync fails", quick, emptied},
		{"a replica comes later", quick, attached},
		{"Redis elects by itself", thorough, own},
		{"a master takes an epoch without votes", thorough, bumped},
		{"a master is replaced, under reads", thorough, replaced},
		{"a master is replaced, under FORCE", vast, usurped},
		{"a replica takes over, and another one is left", quick, promoted},
		{"a slot moves", quick, moved},
		{"two replicas", thorough, siblings},

		{"both instances do everything, and a register forgets", vast, world{writes: 1, replicas: 1, epochs: 1, restartsQ: 1}},
		{"both instances do everything, and a replica restarts", vast, world{writes: 1, replicas: 1, epochs: 1, restartsR: 1}},
		{"two writes, all restart", vast, world{split: true, writes: 2, replicas: 1, epochs: 1, restartsQ: 1, restartsR: 1}},
		{"two writes, two epochs", vast, world{split: true, writes: 2, replicas: 1, epochs: 2}},
		{"Redis elects by itself, all restart", vast, world{split: true, writes: 1, replicas: 1, epochs: 1, own: true, restartsQ: 1, restartsR: 1}},
		{"two replicas, one restarts", vast, world{split: true, writes: 1, replicas: 2, epochs: 1, restartsR: 1}},
	} {
		if !c.effort.allowed() {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			f := explore(&c.world, whole)
			if f.bad != holds || !f.whole {
				t.Fatal(f)
			}
			t.Log(f)
		})
	}
}

// This one is too large to be explored whole. It goes as far as twelve million states.
func TestReplacedMasterAndElectionsByRedis(t *testing.T) {
	if !vast.allowed() {
		return // only with -deep
	}
	f := explore(&orphaned, 12_000_000)
	if f.bad != holds {
		t.Fatal(f)
	}
	t.Log(f)
}

func TestEachRuleIsNeeded(t *testing.T) {
	for _, c := range []struct {
		rule   rule
		effort effort
		world  world
		bad    invariant
	}{
		{ruleSince, quick, restarts, staleRead},
		{ruleBornFence, quick, restarts, staleRead},
		{rulePromoted, quick, replaced, staleRead},
		{ruleEpoch, quick, plain, lostByForce},
		{ruleEpoch, quick, own, lostByRedis},
		{ruleMarkLease, quick, plain, staleRead},
		{ruleVouch, quick, own, lostByRedis},
		{ruleAge, quick, plain, staleRead},
		{ruleMajority, quick, plain, staleRead},
		{ruleOneRound, quick, plain, lostByForce},
		{ruleFormers, quick, usurped, lostByForce},
		{ruleFormersF, thorough, usurped, lostByForce},
		{ruleFormersAsk, thorough, usurped, lostByForce},
		{ruleMark, quick, plain, staleRead},
		{ruleMarkAfter, quick, plain, staleRead},
		{ruleAllReplicas, quick, siblings, staleRead},
		{ruleFormerReplicas, quick, promoted, staleRead},
		{ruleLease, quick, plain, staleRead},
		{ruleCheckFirst, quick, plain, staleRead},
		{ruleFloor, quick, emptied, staleRead},
		{ruleReadRun, quick, restarts, staleRead},
		{ruleOldRun, quick, restarts, staleRead},
		{ruleHoldShorter, quick, plain, staleRead},
		{ruleForceLease, quick, plain, lostByForce},
		{ruleForceRun, quick, restarts, lostByForce},
		{ruleForceFloor, quick, emptied, lostByForce},
		{ruleDeadline, quick, plain, lostByForce},
		{ruleEffect, quick, plain, lostByForce},
		{ruleSameMasters, thorough, usurped, lostByForce},
		{ruleOwnMaster, quick, promoted, staleRead},
		{ruleInStep, quick, attached, staleRead},
		{ruleNothing, quick, bumped, lostByForce},
		{rulePromotedOnly, quick, bumped, lostByForce},
		{ruleSeal, quick, plain, lostByForce},
		{ruleLowest, quick, moved, staleRead},
	} {
		if !c.effort.allowed() {
			continue
		}
		t.Run(c.rule.String(), func(t *testing.T) {
			mustFind(t, c.world.without(c.rule), c.bad)
		})
	}
}

// The faults that the rules were made for.
func TestFormerFaultsAreFound(t *testing.T) {
	t.Run("single on the word of a majority that M is well", func(t *testing.T) {
		mustFind(t, plain.without(ruleNoOldProof), staleRead)
	})
	t.Run("a stand-in without a lease", func(t *testing.T) { mustFind(t, plain.without(ruleLease), staleRead) })
	t.Run("WAIT 1 with two replicas", func(t *testing.T) { mustFind(t, siblings.without(ruleAllReplicas), staleRead) })
}

// The furthest replica keeps what was executed and not acknowledged. No invariant needs it: a lease on any replica proves that it has all
// that was acknowledged.
func TestForceOfTheFurthestIsCourtesy(t *testing.T) {
	if !vast.allowed() {
		return // only with -deep
	}
	if f := explore(siblings.without(ruleFurthest), whole); f.bad != holds || !f.whole {
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
