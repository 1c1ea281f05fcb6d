package faults

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/admin"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
)

const (
	quiet    = 8 * time.Second  // of load before the fault; longer if an instance that has watched for less does not assist
	peaceful = 5 * time.Second  // of that, by whose end connections are warm
	settled  = 3 * time.Second  // of load after it is over
	patience = 90 * time.Second // for anything to happen
	calm     = 10 * time.Second // in which goroutines and connections return to their quiet level
)

// setup is what a drill runs on. The zero value is two instances with assisted failover.
type setup struct {
	noAssist  bool
	instances int // 2 if 0
	sessions  int // 1500 if 0
	rate      float64
	mix       load.Mix // the usual one if empty
	args      []string
	onVMs     bool                 // one instance on each VM, cut off with it
	timeout   time.Duration        // cluster-node-timeout; 2 s if 0
	cluster   []clustertest.Option // none is three masters and three replicas
}

// A drill is one cluster with instances of the service under load.
type drill struct {
	t        *testing.T
	setup    setup
	real     *clustertest.Real
	services []*clustertest.Service
	admin    *admin.Client // what an operator has
	load     *load.Generator
	before   levels // before the load

	stop  context.CancelFunc
	ended chan struct{}

	mu   sync.Mutex
	seen []observation // guarded by mu
}

// An observation is what the figures need of a request.
type observation struct {
	op       load.Op
	slot     uint16
	placed   bool   // the slot is known: it is not that of a creation that failed and would have belonged to no user
	instance string // name
	write    bool
	failed   bool
	verdict  ledger.Verdict
	replica  bool // a replica answered
	single   bool // acknowledged with one copy
	intended time.Time
	took     time.Duration
	text     string // of a failure
}

// begin starts a cluster, instances and load, and returns after some quiet.
func begin(t *testing.T, s setup) *drill {
	t.Helper()
	if *overTLS {
		s.cluster = append(slices.Clone(s.cluster), clustertest.OverTLS(t))
	}
	d := &drill{t: t, real: clustertest.Start(t, s.cluster...)}
	d.admin = d.real.Admin(t)
	if s.timeout != 0 {
		d.real.SetNodeTimeout(t, s.timeout)
	}
	d.start(s)
	return d
}

// start starts instances and load on the drill's cluster.
func (d *drill) start(s setup) {
	d.t.Helper()
	d.inStep() // so that an instance first sees a settled cluster
	d.setup = s
	for _, vm := range s.places() {
		d.services = append(d.services, d.real.StartService(d.t, clustertest.ServiceOptions{Args: s.flags(), VM: vm}))
	}
	d.before = d.levels()
	d.drive(s, d.urls())
	d.lasts(s.watch())
}

// places returns the VM of each instance; empty for one on a machine of its own.
func (s setup) places() []string {
	switch {
	case s.onVMs:
		return []string{"vm1", "vm2", "vm3"}
	case s.instances != 0:
		return make([]string, s.instances)
	}
	return make([]string, 2)
}

// votes is how long Redis counts the votes of an election: four node timeouts. For as long an instance leaves a shard that
// moved to Redis, and every shard after its own start.
func (s setup) votes() time.Duration { return 4 * s.nodeTimeout() }

func (s setup) nodeTimeout() time.Duration { return cmp.Or(s.timeout, 2*time.Second) }

// watch is how long the load lasts before the fault.
func (s setup) watch() time.Duration {
	if s.noAssist {
		return quiet
	}
	return max(quiet, s.votes())
}

// flags returns the flags of the instances.
func (s setup) flags() []string {
	args := []string{"--log-level=" + *profile}
	if !s.noAssist {
		args = append(args, "--failover-assist=500ms")
	}
	return append(args, s.args...)
}

func (d *drill) urls() []string {
	var urls []string
	for _, s := range d.services {
		urls = append(urls, s.URL)
	}
	return urls
}

// drive puts load on the targets.
func (d *drill) drive(s setup, targets []string) {
	d.t.Helper()
	if s.rate == 0 {
		s.rate = *rate
	}
	if s.sessions == 0 {
		s.sessions = 1500
	}
	if s.mix == (load.Mix{}) {
		s.mix = load.Mix{Read: 47, List: 3, Update: 30, Patch: 8, Create: 5, Delete: 5, Rotate: 2}
	}
	var err error
	d.load, err = load.New(load.Config{
		Targets: targets, Rate: load.Constant(s.rate), Together: time.Millisecond,
		Mix:      s.mix,
		Sessions: s.sessions, Users: s.sessions / 10, SessionsPerUser: 3, Guarded: 0.3, MaxInFlight: 20000,
		DialTimeout: 200 * time.Millisecond, // the address of a container that was stopped is a black hole
		CheckEvery:  100 * time.Millisecond, // as the load balancer does that stands before instances
		Observe:     d.observe,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.load.Close)
	if err := d.load.Prepare(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	d.stop, d.ended = cancel, ended
	go func() {
		defer close(ended)
		d.load.Run(ctx)
	}()
	d.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (d *drill) observe(r load.Result) {
	o := observation{
		op: r.Op, slot: r.Slot, placed: r.Key != "" || r.User != "", instance: d.instance(r.Target),
		write: r.Op.Class() == load.Writes, failed: r.Failed, verdict: r.Verdict, intended: r.Intended, took: r.Latency(),
		replica: r.SessionSource == "replica", single: strings.Contains(r.PreferenceApplied, "durability=single"),
	}
	if r.Failed {
		o.text = r.String()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, o)
}

// instance returns the name of the instance at a host and port.
func (d *drill) instance(target string) string {
	for _, s := range d.services {
		if strings.HasSuffix(s.URL, "/"+target) {
			return s.Name
		}
	}
	return target
}

// lasts keeps the load running for a while.
func (d *drill) lasts(long time.Duration) {
	d.t.Helper()
	end := time.Now().Add(long)
	polltest.Eventually(d.t, "the load has gone on", func() bool { return time.Now().After(end) })
}

// promotes causes a fault after which a replica takes over, and returns when it was promoted according to a witness.
func (d *drill) promotes(replica string, fault func()) time.Time {
	d.t.Helper()
	witness := d.real.Poll(d.t, replica)
	defer witness.Stop()
	began := time.Now()
	fault()
	return witness.Promoted(d.t, replica, began)
}

// observations returns those whose requests were due between two moments; a zero moment is no bound.
func (d *drill) observations(from, to time.Time) []observation {
	d.mu.Lock()
	defer d.mu.Unlock()
	var some []observation
	for _, o := range d.seen {
		if !o.intended.Before(from) && (to.IsZero() || o.intended.Before(to)) {
			some = append(some, o)
		}
	}
	return some
}

// inStep waits until all nodes are healthy and every replica is in step.
func (d *drill) inStep() {
	d.t.Helper()
	polltest.Eventually(d.t, "every replica is in step", func() bool {
		nodes, err := d.admin.Status(d.t.Context())
		if err != nil || len(nodes) != d.real.Size() {
			return false
		}
		masters := 0
		for _, n := range nodes {
			if n.Health != view.Healthy || !n.Answers || !n.Master && (!n.LinkUp || n.Lag < 0 || n.Lag > 1<<20) {
				return false
			}
			if n.Master && n.Slots > 0 {
				masters++
			}
		}
		return masters == d.real.Masters()
	})
}

// covered waits until every slot has a healthy master in the view of every reachable node.
func (d *drill) covered() {
	d.t.Helper()
	polltest.Eventually(d.t, "all slots are covered", func() bool {
		v, err := d.admin.Look(d.t.Context())
		return err == nil && v.Covered() == view.Slots
	})
}

// finish ends the load and judges: every session is read back, and the instances return to their quiet level.
func (d *drill) finish() {
	d.t.Helper()
	d.judge()
	d.returnsToQuiet()
}

// judge ends the load, reads every session back, and returns how many answers were wrong.
func (d *drill) judge() (violations uint64) {
	d.t.Helper()
	d.stop()
	<-d.ended
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	swept := d.load.Sweep(ctx)
	report := d.load.Report()
	d.load.Close()
	if report.Ledger.Total() > 0 || swept.Violations > 0 || swept.Unread > 0 {
		d.t.Errorf("sessions lost, stale or resurrected: %+v\n%s", swept, report.Ledger)
	}
	for _, example := range report.Ledger.Examples {
		d.t.Log(example)
	}
	wrong := report.Ledger.Violations
	d.t.Logf("of %d reads and %d acknowledged writes, and %d sessions read back: %d lost, %d stale, %d resurrected", report.Ledger.Reads,
		report.Ledger.Acked, swept.Live+swept.Deleted, wrong[ledger.Lost], wrong[ledger.Stale], wrong[ledger.Resurrected])
	if n := report.NotSentInFlight; n > 0 {
		d.t.Errorf("%d requests could not be sent: too many were under way", n)
	}
	return report.Ledger.Total()
}

// shardOf returns the shard, counted from 1, that a slot belongs to as the cluster was formed.
func shardOf(slot uint16) int {
	for i := range 3 {
		if int(slot) < (i+1)*view.Slots/3 {
			return i + 1
		}
	}
	panic(fmt.Sprintf("slot %d", slot))
}
