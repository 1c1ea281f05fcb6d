package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An outage is the loss of a VM as the figures see it: one shard lost its master, another its replica.
type outage struct {
	began      time.Time // the fault was ordered
	promoted   time.Time // by the poller's word; zero where nobody was to be promoted
	ended      time.Time // requests that were due later are not of it
	lostMaster int       // shard; 0 if none did
	lostCopy   int       // the shard that lost its replica; 0 if none did
}

// placements of the cluster as it was formed: the nodes of each VM, and the node that takes over from its master.
var (
	masterOn  = map[string]int{"vm1": 1, "vm2": 2, "vm3": 3}
	replicaOn = map[string]int{"vm1": 2, "vm2": 3, "vm3": 1}
	replicaOf = map[int]string{1: "redis-4", 2: "redis-5", 3: "redis-6"}
)

// vmOutage is the outage of a VM of a balanced cluster that begins now.
func vmOutage(vm string) outage {
	return outage{began: time.Now(), lostMaster: masterOn[vm], lostCopy: replicaOn[vm]}
}

// A figure is what a drill prints.
type figure struct {
	began        time.Time
	promotion    time.Duration // from the fault's order to the promotion
	firstWrite   time.Duration // from the promotion to the first good write of the shard after it
	reads        int
	failedReads  int
	writes       int
	failedWrites int
	longestRead  time.Duration
	longestWrite [4]time.Duration // by shard; 0 is any
	replicaReads int
	single       int           // writes acknowledged with one copy
	peace        time.Duration // the longest request of the last seconds before: what this machine takes by itself
	quietP99     time.Duration // of the third shard, before
	worstP99     time.Duration // of the worst single second of the last ones
	thirdP99     time.Duration // of the shard that lost nothing, in the first seconds
	violations   uint64
	slowestRead  observation
	slowestWrite observation
	failures     []string // some
}

func (d *drill) figure(o outage) figure {
	d.t.Helper()
	f := figure{began: o.began}
	if !o.promoted.IsZero() {
		f.promotion = o.promoted.Sub(o.began)
		if o.lostMaster != 0 {
			f.firstWrite = d.firstWrite(o)
		}
	}
	for _, r := range d.observations(o.began, o.ended) {
		f.count(r)
	}
	for _, r := range d.observations(o.began.Add(-peaceful), o.began) {
		if !r.intended.Add(r.took).After(o.began) { // what was under way felt the fault
			f.peace = max(f.peace, r.took)
		}
	}
	if o.lostMaster == 0 {
		return f // nobody lost anything
	}
	third := func(r observation) bool { s := shardOf(r.slot); return s != o.lostMaster && s != o.lostCopy }
	f.quietP99 = p99(d.observations(o.began.Add(-quiet), o.began), third)
	for at := o.began.Add(-peaceful); at.Before(o.began); at = at.Add(time.Second) {
		f.worstP99 = max(f.worstP99, p99(d.observations(at, at.Add(time.Second)), third))
	}
	first := o.began.Add(peaceful)
	if o.ended.Before(first) {
		first = o.ended
	}
	f.thirdP99 = p99(d.observations(o.began, first), third)
	return f
}

func (f *figure) count(r observation) {
	if r.write {
		f.writes++
		if r.took > f.longestWrite[0] {
			f.longestWrite[0], f.slowestWrite = r.took, r
		}
		s := shardOf(r.slot)
		f.longestWrite[s] = max(f.longestWrite[s], r.took)
	} else {
		f.reads++
		if r.took > f.longestRead {
			f.longestRead, f.slowestRead = r.took, r
		}
	}
	if r.replica {
		f.replicaReads++
	}
	if r.single {
		f.single++
	}
	if !r.failed {
		return
	}
	if r.write {
		f.failedWrites++
	} else {
		f.failedReads++
	}
	if len(f.failures) < 5 {
		f.failures = append(f.failures, r.text)
	}
}

// firstWrite is the time from the promotion to the end of the first write of the shard that succeeded after it.
func (d *drill) firstWrite(o outage) time.Duration {
	first := time.Duration(-1)
	for _, r := range d.observations(o.began, o.ended) {
		if done := r.intended.Add(r.took); r.write && !r.failed && shardOf(r.slot) == o.lostMaster && done.After(o.promoted) {
			if gap := done.Sub(o.promoted); first < 0 || gap < first {
				first = gap
			}
		}
	}
	return first
}

func p99(of []observation, which func(observation) bool) time.Duration {
	var took []time.Duration
	for _, r := range of {
		if which(r) {
			took = append(took, r.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func (f figure) String() string {
	var b strings.Builder
	if f.promotion > 0 {
		fmt.Fprintf(&b, "promoted after %s; ", ms(f.promotion))
	}
	if f.firstWrite > 0 {
		fmt.Fprintf(&b, "first good write %s later; ", ms(f.firstWrite))
	}
	fmt.Fprintf(&b, "%d reads, %d failed, longest %s (%s in shard %d), %d by replicas; ", f.reads, f.failedReads, ms(f.longestRead),
		f.slowestRead.op, shardOf(f.slowestRead.slot), f.replicaReads)
	fmt.Fprintf(&b, "%d writes, %d failed, longest %s (%s; by shard %s, %s, %s), %d with one copy", f.writes, f.failedWrites,
		ms(f.longestWrite[0]), f.slowestWrite.op, ms(f.longestWrite[1]), ms(f.longestWrite[2]), ms(f.longestWrite[3]), f.single)
	if f.thirdP99 > 0 {
		fmt.Fprintf(&b, "; p99 of the third shard %s, before %s (%s in the worst second)", ms(f.thirdP99), ms(f.quietP99), ms(f.worstP99))
	}
	fmt.Fprintf(&b, "; longest before %s", ms(f.peace))
	for _, text := range f.failures {
		fmt.Fprintf(&b, "\n  failed: %s", text)
	}
	return b.String()
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// report prints a figure and fails the drill for what failed in it.
func (d *drill) report(name string, f figure) {
	d.t.Helper()
	d.t.Logf("%s: %s", name, f)
	d.t.Logf("%s, as an instance saw it:%s", name, d.timeline(f.began))
	if f.failedReads+f.failedWrites > 0 {
		d.t.Errorf("%s: %d reads and %d writes failed", name, f.failedReads, f.failedWrites)
	}
}

// atMost fails the drill if a time exceeds its limit by more than the worst time of its kind before the fault: a machine
// that stands still for a moment before a fault may do so during one too.
func (d *drill) atMost(what string, got, limit, peace time.Duration) {
	d.t.Helper()
	if *limits && got > limit+peace {
		d.t.Errorf("%s took %s, want at most %s beyond the %s seen before the fault", what, ms(got), ms(limit), ms(peace))
	}
}
