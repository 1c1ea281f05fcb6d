package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A cutRound is one cut of the link between the two VMs of a shard. The third VM reaches both.
type cutRound struct {
	shard  int // whose replica and master the link joins
	loses  direction
	assist bool
	// timeout is the cluster-node-timeout, lasts the time until the link is healed.
	timeout, lasts time.Duration
}

// A direction says which packets a cut drops.
type direction string

const (
	bothWays   direction = "both ways"
	toReplica  direction = "to the replica"
	toMaster   direction = "to the master"
	short                = 3 * time.Second
	long                 = 20 * time.Second
	slowToFail           = 5 * time.Second // a node timeout
	fastToFail           = 2 * time.Second // that of the bundle
)

// pairwise are rounds in which each two values of two different columns meet at least once.
var pairwise = []cutRound{
	{1, bothWays, true, slowToFail, short},
	{2, bothWays, true, slowToFail, long},
	{3, bothWays, false, fastToFail, long},
	{1, toMaster, false, slowToFail, long},
	{2, toMaster, false, slowToFail, short},
	{3, toReplica, false, slowToFail, long},
	{1, toReplica, true, fastToFail, short},
	{2, toReplica, true, fastToFail, short},
	{3, toMaster, true, fastToFail, short},
}

// everyRound are all combinations.
func everyRound() []cutRound {
	var all []cutRound
	for shard := 1; shard <= 3; shard++ {
		for _, loses := range []direction{bothWays, toReplica, toMaster} {
			for _, assist := range []bool{true, false} {
				for _, timeout := range []time.Duration{fastToFail, slowToFail} {
					for _, lasts := range []time.Duration{short, long} {
						all = append(all, cutRound{shard, loses, assist, timeout, lasts})
					}
				}
			}
		}
	}
	return all
}

// rounds returns those that were asked for, as far as they are wanted.
func rounds(wanted func(cutRound) bool) []cutRound {
	all := pairwise
	if *allCuts {
		all = everyRound()
	}
	return slices.DeleteFunc(slices.Clone(all), func(r cutRound) bool { return !wanted(r) })
}

// ends returns the VMs of the shard's master and replica, as the cluster was formed.
func (r cutRound) ends() (master, replica string) {
	return vmOf(masterOn, r.shard), vmOf(replicaOn, r.shard)
}

func vmOf(placement map[string]int, shard int) string {
	for vm, s := range placement {
		if s == shard {
			return vm
		}
	}
	panic(fmt.Sprintf("shard %d", shard))
}

// settings names what the rounds on one cluster have in common.
func (r cutRound) settings() string {
	return fmt.Sprintf("%s, node timeout %s", map[bool]string{true: "assisted", false: "redis alone"}[r.assist], r.timeout)
}

func (r cutRound) String() string {
	master, replica := r.ends()
	way := map[direction]string{bothWays: " and ", toReplica: " to ", toMaster: " from "}[r.loses]
	return fmt.Sprintf("%s%s%s for %s", master, way, replica, r.lasts)
}

func TestRoundsArePairwise(t *testing.T) {
	values := func(r cutRound) []any { return []any{r.shard, r.loses, r.assist, r.timeout, r.lasts} }
	type meeting struct {
		i, j int
		a, b any
	}
	meetings := func(of []cutRound) map[meeting]bool {
		met := map[meeting]bool{}
		for _, r := range of {
			v := values(r)
			for i := range v {
				for j := range i {
					met[meeting{i, j, v[i], v[j]}] = true
				}
			}
		}
		return met
	}
	met := meetings(pairwise)
	for m := range meetings(everyRound()) {
		if !met[m] {
			t.Errorf("no round has both %v and %v", m.a, m.b)
		}
	}
}
