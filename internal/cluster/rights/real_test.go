package rights_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
)

// A place is a council over a real cluster, as an instance would have it.
type place struct {
	*rights.Council
	t     *testing.T
	real  *clustertest.Real
	peers *peer.Set
	view  view.View
}

func placeOn(t *testing.T, real *clustertest.Real) *place {
	t.Helper()
	p := &place{Council: rights.New(nil), t: t, real: real, peers: peer.NewSet(real.Access(), nil, peer.Hooks{})}
	t.Cleanup(func() { p.peers.Close() })
	p.follow("redis-1")
	p.Account(p.epoch())
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// follow adopts the view of a node.
func (p *place) follow(witness string) {
	p.t.Helper()
	p.view = p.probe(witness).View
	for _, n := range p.view.Nodes {
		if n.Master && n.Slots > 0 {
			p.Meet(n.ID, "", 2*time.Second)
		}
	}
	p.Follow(p.view, p.peers.At)
}

func (p *place) probe(name string) peer.Answer {
	p.t.Helper()
	a, err := p.peers.At(p.real.Addr(p.t, name)).Probe(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// epoch is the highest current epoch of all nodes.
func (p *place) epoch() int64 {
	epoch := int64(0)
	for _, name := range []string{"redis-1", "redis-2", "redis-3", "redis-4", "redis-5", "redis-6"} {
		epoch = max(epoch, p.probe(name).Epoch)
	}
	return epoch
}

func (p *place) id(name string) string {
	p.t.Helper()
	addr := p.real.Addr(p.t, name)
	i := slices.IndexFunc(p.view.Nodes, func(n view.Node) bool { return n.Addr == addr })
	if i < 0 {
		p.t.Fatalf("the view lacks %s", name)
	}
	return p.view.Nodes[i].ID
}

func (p *place) lease(replica string, asked time.Time) rights.Verdict {
	p.Due(p.id(replica))
	return verdict(p.Lease(p.t.Context(), p.id(replica), rights.Evidence{Asked: asked}))
}

func (p *place) mark(master, replica string) rights.Verdict {
	return verdict(p.Mark(p.t.Context(), p.id(master), []string{p.id(replica)}))
}

func verdict(err error) rights.Verdict {
	if r, ok := errors.AsType[*rights.Refusal](err); ok {
		return r.Reason
	}
	if err != nil {
		return rights.Verdict(err.Error())
	}
	return rights.Granted
}

// until asks again until the verdict comes.
func (p *place) until(want rights.Verdict, ask func() rights.Verdict) {
	p.t.Helper()
	polltest.Eventually(p.t, "the verdict is "+string(want), func() bool { return ask() == want })
}

// The registers on real Redis, rule by rule, on one cluster. Each test has shards or nodes of its own.
func TestRegistersOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	p := placeOn(t, real)
	other := placeOn(t, real)
	p.until(rights.Granted, func() rights.Verdict { return p.mark("redis-3", "redis-6") }) // no register is young any more

	t.Run("nodes that are not the masters at whose addresses they answer grant nothing", func(t *testing.T) {
		foreign := &place{Council: rights.New(nil), t: t, real: real, peers: p.peers}
		foreign.follow("redis-3")
		for _, name := range []string{"redis-1", "redis-2"} {
			i := slices.IndexFunc(foreign.view.Nodes, func(n view.Node) bool { return n.Addr == real.Addr(t, name) })
			foreign.view.Nodes[i].ID = "of-another-cluster"
		}
		foreign.Follow(foreign.view, p.peers.At)
		foreign.Account(p.epoch())
		if got := foreign.mark("redis-3", "redis-6"); got != rights.Elsewhere {
			t.Errorf("a mark: %s", got)
		}
	})
	t.Run("a mark refuses leases on older evidence, and no others", func(t *testing.T) {
		before := time.Now()
		if got := p.mark("redis-1", "redis-4"); got != rights.Granted {
			t.Fatalf("the mark: %s", got)
		}
		if got := other.lease("redis-4", before); got != rights.Marked {
			t.Errorf("a lease on older evidence: %s", got)
		}
		if got := other.lease("redis-5", before); got != rights.Granted {
			t.Errorf("a lease on another replica: %s", got)
		}
		other.until(rights.Granted, func() rights.Verdict { return other.lease("redis-4", time.Now()) })
	})
	t.Run("a lease refuses marks until it ends, and a mark that was refused ends it", func(t *testing.T) {
		if got := p.lease("redis-5", time.Now()); got != rights.Granted {
			t.Fatalf("the lease: %s", got)
		}
		if got := other.mark("redis-2", "redis-5"); got != rights.Leased {
			t.Errorf("a mark: %s", got)
		}
		if got := p.lease("redis-5", time.Now()); got != rights.Wanted {
			t.Errorf("a renewal: %s", got)
		}
		other.until(rights.Granted, func() rights.Verdict { return other.mark("redis-2", "redis-5") })
	})
	t.Run("an election that the asker does not know refuses everything", func(t *testing.T) {
		real.Failover(t, "redis-6")
		polltest.Eventually(t, "all know the new master", func() bool {
			return slices.ContainsFunc(p.probe("redis-1").View.Nodes, func(n view.Node) bool {
				return n.Addr == real.Addr(t, "redis-6") && n.Slots > 0
			})
		})
		if got := p.mark("redis-1", "redis-4"); got != rights.Epoch {
			t.Errorf("a mark: %s", got)
		}
		if got := p.lease("redis-5", time.Now()); got != rights.Epoch {
			t.Errorf("a lease: %s", got)
		}
		p.follow("redis-1")
		p.until(rights.Granted, func() rights.Verdict { return p.mark("redis-1", "redis-4") })
	})
	t.Run("a newcomer learns from seals what is accounted for", func(t *testing.T) {
		newcomer := &place{Council: rights.New(nil), t: t, real: real, peers: p.peers}
		newcomer.follow("redis-2")
		if got := newcomer.mark("redis-1", "redis-4"); got != rights.Epoch {
			t.Errorf("a mark before it has asked: %s", got)
		}
		if err := newcomer.Open(t.Context()); err != nil {
			t.Error(err)
		}
		newcomer.until(rights.Granted, func() rights.Verdict { return newcomer.mark("redis-1", "redis-4") })
	})
	t.Run("a register that has lost its data, or is another process, has forgotten and says so", func(t *testing.T) {
		lost, other := raw(t, real, "redis-2"), raw(t, real, "redis-6")
		p.until(rights.Young, func() rights.Verdict {
			evidence := time.Now()
			if got := p.lease("redis-4", evidence); got != rights.Granted {
				return got // the mark of the tests before is too young
			}
			if err := errors.Join(lost.FlushAll(t.Context()).Err(), other.HSet(t.Context(), rights.Key(10923), "born", "another").Err()); err != nil {
				t.Fatal(err)
			}
			return p.lease("redis-4", evidence)
		})
		p.until(rights.Young, func() rights.Verdict { return p.mark("redis-1", "redis-4") })
		p.until(rights.Granted, func() rights.Verdict { return p.mark("redis-1", "redis-4") })
	})
	t.Run("a register whose lowest slot has moved is another one", func(t *testing.T) {
		lowest := []int{0, 5461, 10923}
		real.MoveSlots(t, "redis-1", "redis-2", 1)
		// If it was the lowest slot, redis-2 has another register now too, and only redis-3 may grant. Whether redis-3 knows of the
		// epoch of the move yet is up to gossip: on Valkey 8.1 it did not.
		if got := p.lease("redis-5", time.Now()); got != rights.Epoch && got != rights.Granted && got != rights.Elsewhere {
			t.Errorf("with registers that have moved: %s", got)
		}
		if got := p.registerAt("redis-1", lowest[0]); got == nil {
			t.Error("the old register still answers")
		}
	})
}

// raw is a client of one node for what the code under test may not do.
func raw(t *testing.T, real *clustertest.Real, name string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: real.Addr(t, name), Dialer: real.Connect})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// registerAt asks a node whether it has a slot.
func (p *place) registerAt(name string, slot int) error {
	return p.peers.At(p.real.Addr(p.t, name)).Questions().Get(p.t.Context(), rights.Key(slot)).Err()
}

// FORCE does nothing unless all is as it was when the lease was asked for.
func TestForceOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	p := placeOn(t, real)
	candidate := func(change func(*rights.Candidate)) rights.Candidate {
		said := p.probe("redis-4")
		c := rights.Candidate{
			Peer: p.peers.At(real.Addr(t, "redis-4")), ID: p.id("redis-4"), Now: said.Now,
			Evidence: rights.Evidence{Asked: time.Now(), Offset: said.Replication.Offset, Stream: said.Replication.Stream, Process: said.RunID, Master: p.id("redis-1")},
		}
		change(&c)
		return c
	}
	p.until(rights.Granted, func() rights.Verdict { return p.mark("redis-1", "redis-4") })
	p.until(rights.Granted, func() rights.Verdict { return p.lease("redis-4", time.Now()) })
	for name, change := range map[string]func(*rights.Candidate){
		"it is late":                 func(c *rights.Candidate) { c.Now = c.Now.Add(-time.Second) },
		"another process":            func(c *rights.Candidate) { c.Evidence.Process = "another" },
		"another stream":             func(c *rights.Candidate) { c.Evidence.Stream = "another" },
		"another master":             func(c *rights.Candidate) { c.Evidence.Master = p.id("redis-2") },
		"less than the evidence":     func(c *rights.Candidate) { c.Evidence.Offset += 1 << 30 },
		"evidence that is too old":   func(c *rights.Candidate) { c.Evidence.Asked = time.Now().Add(-time.Hour) },
		"evidence older than a mark": func(c *rights.Candidate) { c.Evidence.Asked = time.Now().Add(-20 * time.Minute) },
	} {
		if err := p.Force(t.Context(), candidate(change)); err == nil {
			t.Errorf("%s: it was asked", name)
		}
	}
	p.FollowWithout(p.view, p.id("redis-2"), p.peers.At)
	if err := p.Force(t.Context(), candidate(func(*rights.Candidate) {})); err == nil {
		t.Error("it knows other masters than we do, and was asked")
	}
	p.Follow(p.view, p.peers.At)
	if err := p.Force(t.Context(), candidate(func(*rights.Candidate) {})); err != nil {
		t.Fatal(err)
	}
	if got := p.mark("redis-1", "redis-4"); got != rights.Leased && got != rights.Epoch {
		t.Errorf("a mark under a forced lease: %s", got)
	}
	polltest.Eventually(t, "the replica has taken over", func() bool { return p.probe("redis-4").Replication.Master })
}

// Registers work at maxmemory too: a failover does not wait for memory.
func TestRegistersAtMaxMemory(t *testing.T) {
	real := clustertest.Start(t)
	p := placeOn(t, real)
	restore := real.SetMaxMemory(t, 1)
	defer restore()
	rdb := raw(t, real, "redis-1")
	if err := rdb.Set(t.Context(), rights.Key(0)+"x", "v", 0).Err(); err == nil {
		t.Fatal("there is memory")
	}
	p.until(rights.Granted, func() rights.Verdict { return p.lease("redis-4", time.Now()) })
}
