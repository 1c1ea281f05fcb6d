package faults

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

// serviceCutOff cuts the only instance off from a healthy master. With assistance, its replica takes over by agreement.
func serviceCutOff(t *testing.T) {
	d := begin(t, setup{instances: 1})
	o := outage{began: time.Now(), lostMaster: 1}
	o.promoted = d.promotes("redis-4", func() { d.real.Cut(t, d.services[0].Name, "redis-1") })
	d.lasts(settled)
	o.ended = time.Now()
	d.lasts(settled)
	f := d.figure(o)
	d.report("cut off from a master", f)
	d.atMost("a read", f.longestRead, longestRead, f.peace)
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.finish()
}

// minority cuts a VM with an instance and its clients off from the rest, where another instance serves other clients.
// Every write that the minority acknowledged must still be there when the network has healed, and it must not acknowledge a
// write that is not.
func minority(t *testing.T) {
	f := theMinority(t)
	t.Logf("minority: %s", f)
}

func theMinority(t *testing.T) figure {
	d := &drill{t: t, real: clustertest.Start(t)}
	d.admin = d.real.Admin(t)
	d.inStep()
	inside := d.real.StartService(t, clustertest.ServiceOptions{Args: setup{}.flags(), VM: "vm1"})
	outside := d.real.StartService(t, clustertest.ServiceOptions{Args: setup{}.flags()})
	d.services = []*clustertest.Service{inside, outside}
	d.before = d.levels()
	other := &drill{t: t, real: d.real, services: d.services, before: d.before}
	d.drive(setup{rate: *rate / 2, sessions: 700}, []string{inside.URL})
	other.drive(setup{rate: *rate / 2, sessions: 700}, []string{outside.URL})
	d.lasts(quiet)

	o := outage{began: time.Now(), lostMaster: 1, lostCopy: 2}
	d.real.IsolateVM(t, "vm1", clustertest.Host) // the host is where the clients of both sides are
	d.lasts(5 * time.Second)
	d.real.HealVM(t, "vm1")
	d.inStep()
	d.lasts(settled)
	o.ended = time.Now()
	d.lasts(3 * settled) // deadlines of requests that began in the minority
	other.report("the majority's clients", other.figure(o))
	f := d.figure(o) // in the minority reads and writes of other shards must fail
	f.violations = d.judge() + other.judge()
	d.returnsToQuiet()
	return f
}

// startWithDeadVM starts an instance while a VM is dead.
func startWithDeadVM(t *testing.T) {
	d := &drill{t: t, real: clustertest.Start(t)}
	d.admin = d.real.Admin(t)
	d.inStep()
	d.real.PowerOffVM(t, "vm2")
	d.covered()
	service := d.real.StartService(t, clustertest.ServiceOptions{Args: setup{}.flags()})
	d.services = []*clustertest.Service{service}
	d.before = d.levels()
	d.drive(setup{}, d.urls())
	f := d.disturb("started with a dead VM", func() {})
	d.atMost("a read", f.longestRead, longestRead, f.peace)
	d.finish()
}

// instanceStopped stops one of two instances, as a deployment does.
func instanceStopped(t *testing.T) {
	d := begin(t, setup{})
	f := d.disturb("an instance stopped", func() { d.services[0].Stop(t) })
	d.atMost("a request", max(f.longestRead, f.longestWrite[0]), longestRead, f.peace)
	d.finish()
}
