package faults

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// rebalance is what an operator does after a VM has returned.
func (d *drill) rebalance() {
	d.t.Helper()
	if err := d.admin.Rebalance(d.t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		d.t.Fatal(err)
	}
}

// disturb runs a fault that nobody should notice, and reports it.
func (d *drill) disturb(name string, what func()) figure {
	d.t.Helper()
	o := outage{began: time.Now()}
	what()
	d.lasts(settled)
	o.ended = time.Now()
	d.lasts(settled)
	f := d.figure(o)
	d.report(name, f)
	return f
}

func plannedFailover(t *testing.T) {
	d := begin(t, setup{})
	f := d.disturb("planned failover", func() {
		for _, replica := range []string{"redis-4", "redis-5", "redis-6"} {
			d.real.Failover(t, replica)
		}
	})
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.inStep()
	d.finish()
}

// fastRestart is a master that is back before the node timeout, without the last second of its log.
func fastRestart(t *testing.T) {
	for _, assist := range []bool{true, false} {
		t.Run(map[bool]string{true: "assisted", false: "redis-alone"}[assist], func(t *testing.T) {
			d := begin(t, setup{noAssist: !assist})
			d.disturb("a master restarted fast", func() {
				d.real.RestartNode(t, "redis-1", clustertest.RestartOptions{Kill: true, Lose: time.Second})
				d.inStep()
			})
			d.finish()
		})
	}
}

// rollingRestart restarts all six nodes, replicas first, as an operator does.
func rollingRestart(t *testing.T) {
	d := begin(t, setup{})
	d.disturb("rolling restart", func() {
		for _, name := range []string{"redis-4", "redis-5", "redis-6", "redis-1", "redis-2", "redis-3"} {
			d.real.RestartNode(t, name, clustertest.RestartOptions{})
			d.inStep()
		}
	})
	d.finish()
}

func slotsMoved(t *testing.T) {
	d := begin(t, setup{})
	f := d.disturb("slots moved", func() {
		d.real.MoveSlots(t, "redis-1", "redis-2", 100)
		d.real.MoveSlots(t, "redis-2", "redis-3", 100)
	})
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.finish()
}

// maxMemory fills the cluster until it refuses writes. The service answers 507, which is neither a failure nor a loss.
func maxMemory(t *testing.T) {
	d := begin(t, setup{})
	o := outage{began: time.Now()}
	restore := d.real.SetMaxMemory(t, 1<<20)
	refused := func() int {
		full := 0
		for _, f := range d.load.Report().Failures {
			if f.Status == 507 {
				full += f.Count
			}
		}
		return full
	}
	polltest.Eventually(t, "writes are refused", func() bool { return refused() > 100 })
	restore()
	d.lasts(settled) // requests that were due before have ended by then
	full := outage{began: o.began, ended: time.Now()}
	f := d.figure(full)
	t.Logf("at maxmemory: %s", f)
	if f.failedReads > 0 {
		t.Errorf("%d reads failed", f.failedReads)
	}
	// Writes that were in flight when the memory ran out count too.
	if all := d.figure(outage{began: o.began.Add(-quiet), ended: full.ended}); all.failedWrites != refused() {
		t.Errorf("%d writes failed, of which %d were refused for lack of memory", all.failedWrites, refused())
	}
	d.disturb("with memory again", func() {})
	d.finish()
}
