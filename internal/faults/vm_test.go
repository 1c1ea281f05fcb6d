package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

// The goals of the figures, as docs/failover.md states them.
const (
	longestRead     = 150 * time.Millisecond
	longestAssisted = 900 * time.Millisecond
	longestWithout  = 300 * time.Millisecond // beyond the promotion
	longestOneCopy  = 900 * time.Millisecond
	mostOfQuiet     = 2 // times the quiet p99 of the shard that lost nothing
)

// die causes a VM to fail under load, and returns the figure of its outage.
func (d *drill) die(vm string, how func(testing.TB, string)) (outage, figure) {
	d.t.Helper()
	o := vmOutage(vm)
	o.promoted = d.promotes(replicaOf[o.lostMaster], func() { how(d.t, vm) })
	d.lasts(settled)
	o.ended = time.Now()
	d.lasts(settled) // what was due in the outage has ended by then
	return o, d.figure(o)
}

// powerFails is die with a power cut. The rest of the VM is cleared away once its outage has been measured.
func (d *drill) powerFails(vm string) (outage, figure) {
	d.t.Helper()
	o, f := d.die(vm, d.real.CutPower)
	d.real.KillVM(d.t, vm)
	return o, f
}

// within checks the times of an outage against their limits.
func (d *drill) within(o outage, f figure, assisted bool) {
	d.t.Helper()
	d.atMost("a read", f.longestRead, longestRead, f.peace)
	d.atMost("a write to the shard without its replica", f.longestWrite[o.lostCopy], longestOneCopy, f.peace)
	if assisted {
		d.atMost("a write to the shard without its master", f.longestWrite[o.lostMaster], longestAssisted, f.peace)
		return
	}
	d.atMost("a write to the shard without its master", f.longestWrite[o.lostMaster], f.promotion+longestWithout, f.peace)
}

func powerCut(t *testing.T) {
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{noAssist: !assist})
			o, f := d.powerFails("vm2")
			d.report("power cut", f)
			d.within(o, f, assist)
			d.finish()
		})
	}
}

func processesKilled(t *testing.T) {
	d := begin(t, setup{})
	o, f := d.die("vm3", d.real.KillVM)
	d.report("processes killed", f)
	d.within(o, f, true)
	d.finish()
}

func paused(t *testing.T) {
	awayForAWhile(t, "vm1", (*clustertest.Real).PauseVM, (*clustertest.Real).UnpauseVM)
}

func isolated(t *testing.T) {
	cut := func(r *clustertest.Real, t testing.TB, vm string) { r.IsolateVM(t, vm) }
	awayForAWhile(t, "vm2", cut, (*clustertest.Real).HealVM)
}

// awayForAWhile is a VM that disappears, although its processes live on, and comes back.
func awayForAWhile(t *testing.T, vm string, goes, comes func(*clustertest.Real, testing.TB, string)) {
	d := begin(t, setup{})
	o, f := d.die(vm, func(t testing.TB, vm string) { goes(d.real, t, vm) })
	d.report(vm+" is away", f)
	d.within(o, f, true)
	comes(d.real, t, vm)
	d.inStep()
	d.lasts(settled)
	d.finish()
}

// returns is a VM that comes back under load, followed by a rebalance.
func returns(t *testing.T) {
	d := begin(t, setup{})
	_, f := d.powerFails("vm2")
	d.report("power cut", f)
	back := outage{began: time.Now()}
	d.real.StartVM(t, "vm2")
	d.inStep()
	d.lasts(settled)
	d.rebalance()
	d.lasts(settled)
	back.ended = time.Now()
	d.lasts(settled)
	d.report("returned and rebalanced", d.figure(back))
	d.finish()
}

// secondVM kills another VM after the first has returned and the cluster was rebalanced, and then that one again as soon as
// its shard has rested long enough to be assisted.
func secondVM(t *testing.T) {
	d := begin(t, setup{})
	vms := []string{"vm2", "vm1", "vm1"}
	for i, vm := range vms {
		if i > 0 {
			d.real.StartVM(t, vms[i-1])
			d.inStep()
			d.rebalance()
			d.asFormed()
			d.atRest()
			d.forget()
		}
		o, f := d.powerFails(vm)
		d.report(fmt.Sprintf("kill %d, %s", i+1, vm), f)
		d.within(o, f, true)
	}
	d.finish()
}
