package faults

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/polltest"
)

// recovery is how long after the network has healed requests may still fail.
const recovery = 5 * time.Second

// A cutting is a fault of the network between parties that live on, and what may fail while it lasts.
type cutting struct {
	name  string
	cut   func()
	lasts time.Duration
	heal  func()
	may   func(observation) bool // fail until the recovery is over
}

// part runs a part of the drill as a test of its own.
func (d *drill) part(name string, run func()) {
	outer := d.t
	defer func() { d.t = outer }()
	outer.Run(name, func(t *testing.T) {
		d.t = t
		run()
	})
}

// endures makes a fault of the network under load, heals it, and judges. Nothing may be lost, stale or resurrected, and
// only those requests may fail that the fault keeps from every node that could answer them.
func (d *drill) endures(c cutting) {
	d.t.Helper()
	began := time.Now()
	c.cut()
	d.lasts(c.lasts)
	c.heal()
	healed := time.Now()
	d.inStep()
	d.lasts(max(0, time.Until(healed.Add(recovery+settled))))
	d.drained()

	d.judgeCut(c, began, healed)
}

// judgeCut tells what failed in a cut, and fails the drill for what nothing excuses.
func (d *drill) judgeCut(c cutting, began, healed time.Time) {
	d.t.Helper()
	excused, unfit := tolls{}, tolls{}
	requests, replica, single := 0, 0, 0
	for _, o := range d.observations(began, time.Time{}) {
		requests++
		if o.replica {
			replica++
		}
		if o.single {
			single++
		}
		if !o.failed {
			continue
		}
		if o.wrong() || o.intended.After(healed.Add(recovery)) || !c.may(o) {
			unfit.add(o)
		} else {
			excused.add(o)
		}
	}
	d.t.Logf("%s: healed after %s; %d requests, %d reads by replicas, %d writes with one copy; failures that the fault excuses:%s", c.name,
		ms(healed.Sub(began)), requests, replica, single, cmp.Or(excused.text(began), " none"))
	if len(unfit) > 0 {
		d.t.Errorf("%s: what nothing excuses:%s", c.name, unfit.text(began))
		d.t.Logf("%s, as an instance saw it:%s", c.name, d.timeline(began))
	}
}

// drained waits until the requests that were delayed have ended.
func (d *drill) drained() {
	d.t.Helper()
	began := time.Now()
	defer func() {
		if d.t.Failed() {
			d.t.Logf("as an instance saw it since a minute before:%s", d.timeline(began.Add(-time.Minute)))
		}
	}()
	polltest.Eventually(d.t, "few requests are under way", func() bool { return float64(d.load.Progress().InFlight) < *rate/20 })
}

// restored makes the cluster what it was before a fault, for the next one. No request may fail.
func (d *drill) restored() {
	d.t.Helper()
	began := time.Now()
	d.rebalance()
	d.asFormed()
	if !d.setup.noAssist {
		d.atRest()
	}
	d.lasts(settled)
	bad := tolls{}
	for _, o := range d.observations(began, time.Time{}) {
		if o.failed {
			bad.add(o)
		}
	}
	if len(bad) > 0 {
		d.t.Errorf("while the cluster was restored:%s", bad.text(began))
	}
	d.forget()
}

// cutLinks makes the rounds, those with the same settings on one cluster.
func cutLinks(t *testing.T, rounds []cutRound) {
	for len(rounds) > 0 {
		first := rounds[0]
		same := func(r cutRound) bool { return r.settings() == first.settings() }
		t.Run(first.settings(), func(t *testing.T) {
			d := begin(t, setup{onVMs: true, noAssist: !first.assist, timeout: first.timeout})
			for i, r := range slices.DeleteFunc(slices.Clone(rounds), func(r cutRound) bool { return !same(r) }) {
				d.part(r.String(), func() {
					if i > 0 {
						d.restored()
					}
					d.endures(d.cutting(r))
				})
			}
			d.finish()
		})
		rounds = slices.DeleteFunc(rounds, same)
	}
}

// cutting returns the fault of a round.
func (d *drill) cutting(r cutRound) cutting {
	master, replica := r.ends()
	c := cutting{name: r.String(), lasts: r.lasts, may: d.acrossLink(master, replica)}
	switch r.loses {
	case bothWays:
		c.cut, c.heal = func() { d.real.Cut(d.t, master, replica) }, func() { d.real.Heal(d.t, master, replica) }
	case toReplica:
		c.cut, c.heal = func() { d.real.CutOneWay(d.t, master, replica) }, func() { d.real.HealOneWay(d.t, master, replica) }
	case toMaster:
		c.cut, c.heal = func() { d.real.CutOneWay(d.t, replica, master) }, func() { d.real.HealOneWay(d.t, replica, master) }
	}
	return c
}

// acrossLink returns which requests may fail while the link between two VMs is cut: those to the shard whose master and replica
// it joins, and those that an instance at one end must send to a master at the other.
func (d *drill) acrossLink(a, b string) func(observation) bool {
	joins := func(one, other string) bool { return one == a && other == b || one == b && other == a }
	return func(o observation) bool {
		if !o.placed {
			return true // perhaps one of the shard that the link joins
		}
		master, replica := vmOf(masterOn, o.shard()), vmOf(replicaOn, o.shard())
		return joins(master, replica) || joins(d.vmOf(o.instance), master)
	}
}

// vmOf returns the VM of an instance.
func (d *drill) vmOf(instance string) string {
	for i, s := range d.services {
		if s.Name == instance {
			return d.setup.places()[i]
		}
	}
	return ""
}

func linkCut(t *testing.T) {
	cutLinks(t, rounds(func(r cutRound) bool { return r.loses == bothWays }))
}

func linkCutOneWay(t *testing.T) {
	cutLinks(t, rounds(func(r cutRound) bool { return r.loses != bothWays }))
}

// linkCutShort and linkCutOneWayShort are for CI.
func linkCutShort(t *testing.T) { cutLinks(t, []cutRound{{2, bothWays, true, fastToFail, short}}) }

func linkCutOneWayShort(t *testing.T) {
	cutLinks(t, []cutRound{{1, toReplica, true, fastToFail, short}})
}

// linkFlaps cuts and heals a link every 300 ms.
func linkFlaps(t *testing.T) {
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{onVMs: true, noAssist: !assist})
			var stop func() int
			d.endures(cutting{
				name: "the link between vm1 and vm2 flaps", lasts: 15 * time.Second, may: d.acrossLink("vm1", "vm2"),
				cut:  func() { stop = d.real.Flap(t, "vm1", "vm2", 300*time.Millisecond) },
				heal: func() { t.Logf("the link was cut %d times", stop()) },
			})
			d.finish()
		})
	}
}

// instanceCut cuts an instance off from one master only: the nodes of its VM still reach that master.
func instanceCut(t *testing.T) {
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{onVMs: true, noAssist: !assist})
			instance, master := d.services[0].Name, "redis-2"
			for i, lasts := range []time.Duration{short, long} {
				d.part(lasts.String(), func() {
					if i > 0 {
						d.restored()
					}
					d.endures(cutting{
						name: instance + " is cut off from " + master, lasts: lasts,
						cut: func() { d.real.Cut(d.t, instance, master) }, heal: func() { d.real.Heal(d.t, instance, master) },
						may: func(o observation) bool { return o.instance == instance && (!o.placed || o.shard() == 2) },
					})
				})
			}
			d.finish()
		})
	}
}
