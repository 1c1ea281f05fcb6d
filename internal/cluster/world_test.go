package cluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A world is a client of three shards whose watcher does not run: what it knows is what the test says. Its clock is
// synctest's, so ages are exact.
type world struct {
	t    *testing.T
	c    *Client
	w    *watcher
	view view.View
}

// inWorld runs a test in one where all six nodes are well and have just answered, the replicas in step.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Addrs: []string{"10.0.0.1:6379"}}
		cfg.setDefaults()
		c := &Client{cfg: cfg, nodes: map[string]*node{}}
		c.watch = newWatcher(c)
		c.metrics = newMetrics(c)
		c.watch.events.heard = c.hear
		x := &world{t: t, c: c, w: c.watch, view: threeShards()}
		defer func() {
			for _, n := range c.nodes {
				n.close()
			}
		}()
		time.Sleep(time.Minute) // so that times in the past are after the pulses' beginning
		x.place(x.view)
		for _, n := range x.view.Nodes {
			x.answers(n.ID, 0)
			x.checkup(n.ID).inStep = !n.Master
		}
		test(x)
	})
}

// threeShards is the bundle's: masters m1 to m3 and their replicas r1 to r3.
func threeShards() view.View {
	node := func(id, addr, host, master string, first, last int) view.Node {
		n := view.Node{ID: id, Addr: addr, Hostname: host, Master: master == "", MasterID: master, Epoch: 1, Health: view.Healthy}
		if n.Master {
			n.Ranges, n.Slots = []view.SlotRange{{First: first, Last: last}}, last-first+1
		}
		return n
	}
	return view.View{Nodes: []view.Node{
		node("m1", "10.0.0.1:6379", "redis-1.vm1", "", 0, 5460),
		node("r2", "10.0.0.5:6379", "redis-5.vm1", "m2", 0, 0),
		node("m2", "10.0.0.2:6379", "redis-2.vm2", "", 5461, 10922),
		node("r3", "10.0.0.6:6379", "redis-6.vm2", "m3", 0, 0),
		node("m3", "10.0.0.3:6379", "redis-3.vm3", "", 10923, 16383),
		node("r1", "10.0.0.4:6379", "redis-4.vm3", "m1", 0, 0),
	}}
}

// changed is the view with one node's line changed.
func changed(v view.View, id string, change func(*view.Node)) view.View {
	v.Nodes = slices.Clone(v.Nodes)
	for i := range v.Nodes {
		if v.Nodes[i].ID == id {
			change(&v.Nodes[i])
		}
	}
	return v
}

// promoted is the view in which a replica has taken its master's place.
func promoted(v view.View, replica string) view.View {
	r, _ := v.Node(replica)
	m, _ := v.Node(r.MasterID)
	v = changed(v, replica, func(n *view.Node) {
		n.Master, n.MasterID, n.Ranges, n.Slots, n.Epoch = true, "", m.Ranges, m.Slots, v.Epoch()+1
	})
	return changed(v, m.ID, func(n *view.Node) { n.Master, n.MasterID, n.Ranges, n.Slots = false, replica, nil, 0 })
}

func without(v view.View, id string) view.View {
	v.Nodes = slices.DeleteFunc(slices.Clone(v.Nodes), func(n view.Node) bool { return n.ID == id })
	return v
}

// place makes a view the topology.
func (x *world) place(v view.View) { x.w.topology.Store(newTopology(v, x.w.topology.Load(), x.c.node)) }

func (x *world) node(id string) *node {
	x.t.Helper()
	n, ok := x.view.Node(id)
	if !ok {
		x.t.Fatalf("there is no %s", id)
	}
	return x.c.node(n.Addr)
}

func (x *world) checkup(id string) *checkup { return x.w.checkupOf(x.node(id)) }

// shard is where a node is master or replica.
func (x *world) shard(id string) *placement {
	t := x.w.topology.Load()
	if p := t.mastered(x.node(id)); p != nil {
		return p
	}
	return t.replicated(x.node(id))
}

// answers gives the watcher an answer of a node that was asked a while ago and came at once: it sees all others well, with
// pongs as old as half the node timeout.
func (x *world) answers(id string, ago time.Duration, changes ...func(*received)) {
	at := time.Now().Add(-ago)
	line, _ := x.view.Node(id)
	a := received{answer: answer{asked: at, now: at, nodeTimeout: 2 * time.Second, runID: id}, at: at}
	a.replication = view.Replication{Master: line.Master, LinkUp: !line.Master, Offset: 100}
	a.view.Nodes = slices.Clone(x.view.Nodes)
	for i := range a.view.Nodes {
		if a.view.Nodes[i].Self = a.view.Nodes[i].ID == id; !a.view.Nodes[i].Self {
			a.view.Nodes[i].Pong = at.Add(-time.Second)
		}
	}
	for _, change := range changes {
		change(&a)
	}
	u := x.checkup(id)
	u.earlier, u.last = u.last, a
}

// never takes back that a node has answered.
func (x *world) never(id string) { x.checkup(id).last, x.checkup(id).earlier = received{}, received{} }

// silent has a node owe an answer for so long.
func (x *world) silent(id string, d time.Duration) {
	p := x.node(id).pulse
	p.asked.Store(p.now() - int64(d))
}

func (x *world) state(id string, s state) { x.node(id).current.Store(int32(s)) }

func pong(of string, age time.Duration) func(*received) {
	return func(a *received) {
		for i := range a.view.Nodes {
			if a.view.Nodes[i].ID == of {
				a.view.Nodes[i].Pong = a.now.Add(-age)
			}
		}
	}
}

func offset(n int64) func(*received) { return func(a *received) { a.replication.Offset = n } }
func linkDown(a *received)           { a.replication.LinkUp = false }

// types are the events told so far, in order.
func (x *world) types() []EventType {
	var types []EventType
	told, _ := x.w.events.Since(0)
	for _, ev := range told {
		types = append(types, ev.Type)
	}
	return types
}
