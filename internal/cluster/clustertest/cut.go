package clustertest

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cut drops what flows between two parties. Its packet filters are a chain of their own in the network of each container
// that is an end of the cut, so that one command per container makes or heals it.
type cut struct {
	name  string // of the chains
	flows []flow
}

// A flow is what one party sends to another.
type flow struct {
	from, to []*container
	match    string // further conditions of iptables; empty for everything
}

// Cut drops everything between two parties, in both directions. A party is a node's name, a VM's (all its containers), a
// service's, Host, or an IP address; at least one of the two must belong to this cluster. The cut is healed at
// the end of the test if it has not been before.
func (r *Real) Cut(t testing.TB, a, b string) {
	t.Helper()
	r.make(t, r.link(t, a, b))
}

// Heal ends the Cut between the same two parties.
func (r *Real) Heal(t testing.TB, a, b string) {
	t.Helper()
	r.inNetworks(t, r.link(t, a, b).healed())
}

// CutOneWay drops what one party sends to another, and nothing that comes back. Parties and the end are those of Cut.
func (r *Real) CutOneWay(t testing.TB, from, to string) {
	t.Helper()
	r.make(t, r.oneWay(t, from, to))
}

// HealOneWay ends the CutOneWay of the same direction.
func (r *Real) HealOneWay(t testing.TB, from, to string) {
	t.Helper()
	r.inNetworks(t, r.oneWay(t, from, to).healed())
}

// CutStream drops what a replica and its master exchange for replication, and nothing else: the two nodes still see each
// other as healthy, and both serve. The master counts the replica as online until its repl-timeout. The cut is healed at the
// end of the test if it has not been before.
func (r *Real) CutStream(t testing.TB, replica, master string) {
	t.Helper()
	r.make(t, r.stream(t, replica, master))
}

// HealStream ends CutStream.
func (r *Real) HealStream(t testing.TB, replica, master string) {
	t.Helper()
	r.inNetworks(t, r.stream(t, replica, master).healed())
}

// Flap cuts and heals the link between two parties in turns, each for a period, the cut first. It ends with the link healed,
// when the returned function is called or the test ends. That function returns how often the link was cut.
func (r *Real) Flap(t testing.TB, a, b string, period time.Duration) (stop func() (cuts int)) {
	t.Helper()
	c := r.link(t, a, b)
	r.make(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	cuts, ended := 1, make(chan error, 1)
	go func() {
		ended <- c.flap(ctx, period, func() { cuts++ })
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the link between %s and %s: %v", a, b, err)
		}
		return cuts
	})
	t.Cleanup(func() { stop() })
	return stop
}

// flap heals the cut and makes it again in turns until the context ends. It leaves it healed.
func (c cut) flap(ctx context.Context, period time.Duration, again func()) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for closed := true; ; closed = !closed {
		select {
		case <-ctx.Done():
			return runScripts(context.WithoutCancel(ctx), c.healed())
		case <-tick.C:
		}
		next := c.healed()
		if !closed {
			next = c.made()
			again()
		}
		if err := runScripts(context.WithoutCancel(ctx), next); err != nil {
			return err
		}
	}
}

// link is the cut between two parties in both directions.
func (r *Real) link(t testing.TB, a, b string) cut {
	t.Helper()
	one, other := r.parties(t, a), r.parties(t, b)
	return cut{a + "~" + b, []flow{{from: one, to: other}, {from: other, to: one}}}
}

func (r *Real) oneWay(t testing.TB, from, to string) cut {
	t.Helper()
	return cut{from + ">" + to, []flow{{from: r.parties(t, from), to: r.parties(t, to)}}}
}

// stream is the cut of a connection that the replica has opened to its master.
func (r *Real) stream(t testing.TB, replica, master string) cut {
	t.Helper()
	down, up := r.parties(t, replica), r.parties(t, master)
	return cut{replica + "=" + master, []flow{{down, up, "-p tcp --dport 6379"}, {up, down, "-p tcp --sport 6379"}}}
}

// make makes a cut that is healed at the end of the test.
func (r *Real) make(t testing.TB, c cut) {
	t.Helper()
	r.inNetworks(t, c.made())
	t.Cleanup(func() { _ = runScripts(context.Background(), c.healed()) }) // fails where it is healed or gone already
}

// made returns the scripts that make the cut. They change nothing where it is made already.
func (c cut) made() scripts {
	script := scripts{}
	for id, rules := range c.rules() {
		script[id] = c.exists() + " || " + restore(":"+c.name+" - [0:0]", strings.Join(rules, "\n"), "-I INPUT -j "+c.name, "-I OUTPUT -j "+c.name)
	}
	return script
}

// healed returns the scripts that heal the cut. They change nothing where it is gone, as after a container's restart.
func (c cut) healed() scripts {
	script := scripts{}
	for id := range c.rules() {
		script[id] = "! " + c.exists() + " || " + restore("-D INPUT -j "+c.name, "-D OUTPUT -j "+c.name, "-F "+c.name, "-X "+c.name)
	}
	return script
}

// rules returns the rules of the cut's chain by the ID of the container that they are for. Both ends of a flow drop it: one
// of the two may not be a container of this cluster.
func (c cut) rules() map[string][]string {
	rules := map[string][]string{}
	drop := func(at *container, address string, ip netip.Addr, match string) {
		if at.id != "" {
			rules[at.id] = append(rules[at.id], strings.Join(strings.Fields(fmt.Sprintf("-A %s %s %s %s -j DROP", c.name, address, ip, match)), " "))
		}
	}
	for _, f := range c.flows {
		for _, from := range f.from {
			for _, to := range f.to {
				if from.ip != to.ip {
					drop(from, "-d", to.ip, f.match)
					drop(to, "-s", from.ip, f.match)
				}
			}
		}
	}
	return rules
}

// exists is the shell command that succeeds if the cut's chain is there.
func (c cut) exists() string { return "iptables -w 5 -n -L '" + c.name + "' >/dev/null 2>&1" }

// restore is the shell command that applies changes of the filter table in one step.
func restore(lines ...string) string {
	return "iptables-restore -w 5 -n <<'END'\n*filter\n" + strings.Join(lines, "\n") + "\nCOMMIT\nEND\n"
}
