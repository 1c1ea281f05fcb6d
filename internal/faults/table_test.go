package faults

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/stock"
)

// aloneKills is how many VMs are killed without assisted failover.
const aloneKills = 3

// stockWatch is how long the stock client is watched after the kill.
const stockWatch = 13 * time.Second

// A column of the table is one client under one kind of failover: the figures of all its kills.
type column struct {
	name       string
	kills      []figure
	outages    []outage
	violations uint64
}

// TestFigures prints the table of figures.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("no figures asked for: make failover-figures prints them, or -figures")
	}
	var columns []column
	add := func(name string, measure func(*testing.T) column) {
		t.Run(name, func(t *testing.T) {
			c := measure(t)
			c.name = name
			columns = append(columns, c)
		})
	}
	add("stock go-redis", stockControl)
	add("redis alone", func(t *testing.T) column { return manyKills(t, setup{noAssist: true}, aloneKills) })
	add("assisted", func(t *testing.T) column { return manyKills(t, setup{}, *kills) })
	add("minority", func(t *testing.T) column {
		f := theMinority(t)
		return column{kills: []figure{f}, violations: f.violations}
	})
	t.Logf("%.0f requests/s, half of them reads; longest over all kills, medians in brackets\n%s", *rate, table(columns))
}

// order is the order in which VMs are killed.
var order = []string{"vm2", "vm1", "vm3"}

// formed are the masters that the cluster was formed with.
var formed = []string{"redis-1", "redis-2", "redis-3"}

// asFormed makes the master that each shard was formed with its master again, if the rebalance has placed it elsewhere, and
// waits until every instance sees it.
func (d *drill) asFormed() {
	d.t.Helper()
	view, err := d.admin.Look(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, n := range view.Nodes {
		if name := d.real.Name(n.Addr); !n.Master && slices.Contains(formed, name) {
			d.real.Failover(d.t, name)
		}
	}
	polltest.Eventually(d.t, "every shard is back at its first master", func() bool {
		for _, s := range d.services {
			state, err := clusterOf(s.URL)
			if err != nil {
				return false
			}
			for _, shard := range state.Shards {
				if !slices.Contains(formed, d.real.Name(shard.Master)) {
					return false
				}
			}
		}
		return true
	})
}

// atRest waits until no shard has moved for so long that the instances would assist another failover, and go by the present
// masters alone.
func (d *drill) atRest() {
	d.t.Helper()
	last := time.Now()
	polltest.Eventually(d.t, "the shards are at rest", func() bool {
		if time.Since(last) < time.Second {
			return false
		}
		last = time.Now()
		for _, s := range d.services {
			state, err := clusterOf(s.URL)
			if err != nil || len(state.Shards) != d.real.Masters() || state.Formers {
				return false
			}
			for _, shard := range state.Shards {
				if time.Since(shard.MovedAt) < d.setup.forgotten()+rest {
					return false
				}
			}
		}
		return true
	})
}

// forgotten is how long the former masters count after a move (package rights), by the node timeout. It is longer than the
// votes of an election count.
func (s setup) forgotten() time.Duration {
	return (5750*time.Millisecond + 2*s.nodeTimeout()) * 11 / 10
}

// rest is how much longer the instances take to see a move, and that it is over.
const rest = 2 * time.Second

// manyKills kills VMs in turn, each after the one before has returned and the cluster was rebalanced.
func manyKills(t *testing.T, s setup, n int) column {
	d := begin(t, s)
	var c column
	for i := range n {
		vm := order[i%3]
		o, f := d.powerFails(vm)
		d.report(fmt.Sprintf("kill %d, %s", i+1, vm), f)
		d.within(o, f, !s.noAssist)
		c.kills, c.outages = append(c.kills, f), append(c.outages, o)
		d.real.StartVM(t, vm)
		d.inStep()
		d.rebalance()
		d.asFormed()
		if i+1 < n && !s.noAssist {
			d.atRest()
		}
		d.forget()
		d.lasts(quiet)
	}
	// A single outage has some 25 requests above its p99, and one moment of standing still can cause as many, so the median is
	// what counts. Without assistance, the writes of some seconds are let through at once, which slows the whole machine.
	if _, median := spread(c, slowed); *limits && !s.noAssist && median > mostOfQuiet {
		t.Errorf("the p99 of the third shard was %.1f times its quiet value, at most %d is wanted of the median", median, mostOfQuiet)
	}
	c.violations = d.judge()
	d.returnsToQuiet()
	return c
}

// forget drops what was observed so far.
func (d *drill) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = nil
}

// stockControl is what a team would write itself: the same calls, except lists, patches and rotations, on a plain go-redis
// client in this process.
func stockControl(t *testing.T) column {
	d := &drill{t: t, real: clustertest.Start(t)}
	d.admin = d.real.Admin(t)
	d.inStep()
	handler := stock.New(stock.Config{Addrs: d.real.Config().Addrs})
	t.Cleanup(func() { handler.Close() })
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	d.drive(setup{mix: load.Mix{Read: 50, Update: 40, Create: 5, Delete: 5}}, []string{server.URL})
	d.lasts(quiet)
	o := vmOutage("vm2")
	d.real.CutPower(t, "vm2")
	d.lasts(stockWatch)
	o.ended = time.Now()
	d.stop()
	<-d.ended
	f := d.figure(o)
	f.failures = nil
	t.Logf("stock: %s", f)
	return column{kills: []figure{f}, outages: []outage{o}, violations: d.load.Report().Ledger.Total()}
}

// table is the table of figures in docs/failover.md, with the goals.
func table(columns []column) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, goal string, cell func(column) string) {
		fmt.Fprint(w, name)
		for _, c := range columns {
			fmt.Fprint(w, "\t", cell(c))
		}
		fmt.Fprintln(w, "\t"+goal)
	}
	longest := func(of func(figure, outage) time.Duration) func(column) string {
		return func(c column) string {
			most, median := spread(c, func(f figure, o outage) float64 { return float64(of(f, o)) })
			if most == 0 {
				return "-"
			}
			return fmt.Sprintf("%s (%s)", ms(time.Duration(most)), ms(time.Duration(median)))
		}
	}
	total := func(of func(figure) int) func(column) string {
		return func(c column) string {
			sum := 0
			for _, f := range c.kills {
				sum += of(f)
			}
			return fmt.Sprint(sum)
		}
	}
	row("", "goal", func(c column) string { return c.name })
	row("kills", "", func(c column) string { return fmt.Sprint(len(c.outages)) })
	row("reads, in the outages", "", total(func(f figure) int { return f.reads }))
	row("failed reads", "0", total(func(f figure) int { return f.failedReads }))
	row("longest read", longestRead.String(), longest(func(f figure, _ outage) time.Duration { return f.longestRead }))
	row("writes, in the outages", "", total(func(f figure) int { return f.writes }))
	row("failed writes", "0, but in the minority", total(func(f figure) int { return f.failedWrites }))
	row("promotion", "", longest(func(f figure, _ outage) time.Duration { return f.promotion }))
	row("longest write, shard that lost its master", fmt.Sprintf("assisted %s", longestAssisted),
		longest(func(f figure, o outage) time.Duration { return f.longestWrite[o.lostMaster] }))
	row("the same, beyond the promotion", fmt.Sprintf("unassisted %s", longestWithout),
		longest(func(f figure, o outage) time.Duration {
			if f.promotion == 0 { // nobody looked
				return 0
			}
			return f.longestWrite[o.lostMaster] - f.promotion
		}))
	row("longest write, shard that lost its replica", longestOneCopy.String(),
		longest(func(f figure, o outage) time.Duration { return f.longestWrite[o.lostCopy] }))
	row("p99 of the third shard", "", longest(func(f figure, _ outage) time.Duration { return f.thirdP99 }))
	row("p99 of the third shard before", "", longest(func(f figure, _ outage) time.Duration { return f.quietP99 }))
	row("ratio of the two", fmt.Sprintf("at most %d", mostOfQuiet), func(c column) string {
		most, median := spread(c, slowed)
		if most == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f (%.1f)", most, median)
	})
	row("lost, stale, resurrected", "0", func(c column) string { return fmt.Sprint(c.violations) })
	w.Flush()
	return b.String()
}

// slowed is the p99 of the third shard as a multiple of its quiet value.
func slowed(f figure, _ outage) float64 {
	if f.quietP99 == 0 {
		return 0
	}
	return float64(f.thirdP99) / float64(f.quietP99)
}

// spread returns the maximum and the median of a figure over a column's outages; zero if there are none.
func spread(c column, of func(figure, outage) float64) (most, median float64) {
	var all []float64
	for i, o := range c.outages {
		all = append(all, of(c.kills[i], o))
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)-1], all[len(all)/2]
}
