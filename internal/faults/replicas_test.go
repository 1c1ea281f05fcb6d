package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
)

// Drills on clusters of three masters and six replicas: redis-4 and redis-7 are the replicas of redis-1, and so on.

var sixReplicas = []clustertest.Option{clustertest.TwoReplicas}

// loses takes a shard's master away, and returns the figure of the outage once any replica has taken over.
func (d *drill) loses(shard int, fault func()) (outage, figure) {
	d.t.Helper()
	witness := d.real.Poll(d.t)
	defer witness.Stop()
	o := outage{began: time.Now(), lostMaster: shard}
	fault()
	o.promoted = witness.Covered(d.t, time.Now())
	d.lasts(settled)
	o.ended = time.Now()
	d.lasts(settled) // what was due in the outage has ended by then
	d.drained()
	return o, d.figure(o)
}

// twoReplicas kills a VM. Two shards lose a replica each.
func twoReplicas(t *testing.T) {
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{cluster: sixReplicas, noAssist: !assist})
			o, f := d.loses(2, func() { d.real.CutPower(t, "vm2") })
			d.real.KillVM(t, "vm2")
			d.report("power cut", f)
			for _, o.lostCopy = range []int{1, 3} {
				d.within(o, f, assist)
			}
			d.finish()
		})
	}
}

// replicaBehind cuts the stream of one of two replicas, and then its master's power: sometimes at once, sometimes when
// writes are acknowledged without that replica. Whichever replica takes over must have what was acknowledged.
func replicaBehind(t *testing.T) {
	rounds := []struct {
		behind string
		power  time.Duration // goes so long after the stream
	}{
		{"redis-4", 20 * time.Millisecond},
		{"redis-7", 20 * time.Millisecond},
		{"redis-7", 4 * time.Second},
	}
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{cluster: sixReplicas, noAssist: !assist})
			for i, r := range rounds {
				d.part(fmt.Sprintf("%s behind for %s", r.behind, r.power), func() {
					if i > 0 {
						d.restored()
					}
					d.real.CutStream(d.t, r.behind, "redis-1")
					d.lasts(r.power)
					_, f := d.loses(1, func() { d.real.CutPower(d.t, "vm1") })
					d.real.KillVM(d.t, "vm1")
					d.report(r.behind+" is behind", f)
					d.real.HealStream(d.t, r.behind, "redis-1")
					d.real.StartVM(d.t, "vm1")
					d.inStep()
				})
			}
			d.finish()
		})
	}
}

// deadForLong kills a master's process while a VM has been dead for so long that the others call its nodes failed.
func deadForLong(t *testing.T) {
	d := begin(t, setup{cluster: sixReplicas})
	_, f := d.loses(2, func() { d.real.CutPower(t, "vm2") })
	d.real.KillVM(t, "vm2")
	d.report("power cut", f)
	polltest.Eventually(t, "the nodes of the VM are marked as failed", func() bool {
		v, err := d.admin.Look(t.Context())
		failed := 0
		for _, n := range v.Nodes {
			if n.Health == view.Failed {
				failed++
			}
		}
		return err == nil && failed == 3
	})
	d.lasts(quiet)
	d.forget()
	d.lasts(quiet)
	_, f = d.loses(3, func() { d.real.KillNode(t, "redis-3") })
	d.report("another master's process", f)
	d.atMost("a read", f.longestRead, longestRead, f.peace)
	d.atMost("a write", f.longestWrite[0], f.promotion+longestWithout, f.peace)
	d.real.StartVM(t, "vm2")
	d.real.StartVM(t, "vm3")
	d.inStep()
	d.finish()
}
