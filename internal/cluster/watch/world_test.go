package watch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A world is a watcher of three shards that does not run: it knows what the test tells it. Its clock is synctest's, so ages
// are exact.
type world struct {
	t     *testing.T
	peers *peer.Set
	w     *Watcher
	view  view.View

	offset int64 // of m1, see produces
}

// inWorld runs a test in a world where all six nodes are well and have just answered, and the replicas are in step.
func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		peers := peer.NewSet(peer.Access{Addrs: []string{"10.0.0.1:6379"}}, nil, peer.Hooks{})
		defer peers.Close()
		x := &world{t: t, peers: peers, w: New(Config{Peers: peers, Metrics: NewMetrics(nil)}), view: threeShards()}
		for _, n := range x.view.Nodes {
			x.node(n.ID) // a pulse begins
		}
		time.Sleep(time.Minute) // so that times in the past are after the pulses' beginning
		x.adopt(x.view)
		for _, n := range x.view.Nodes {
			x.answers(n.ID, 0)
			if !n.Master {
				x.shows(n.ID, time.Now())
			}
		}
		test(x)
	})
}

// threeShards returns the view of the bundle: masters m1 to m3 and their replicas r1 to r3.
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

// changed returns the view with one node changed.
func changed(v view.View, id string, change func(*view.Node)) view.View {
	v.Nodes = slices.Clone(v.Nodes)
	for i := range v.Nodes {
		if v.Nodes[i].ID == id {
			change(&v.Nodes[i])
		}
	}
	return v
}

// promoted returns the view in which a replica has taken its master's place.
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

// adopt makes a view the topology and tells no event.
func (x *world) adopt(v view.View) {
	before := x.w.Topology()
	after := x.w.place(v, before)
	x.w.apply(after, changeBetween(before, after))
}

// tellChange tells the change from one topology to another.
func (x *world) tellChange(before, after *Topology) {
	x.w.tellChange(after, changeBetween(before, after))
}

func (x *world) node(id string) *peer.Peer {
	x.t.Helper()
	n, ok := x.view.Node(id)
	if !ok {
		x.t.Fatalf("there is no %s", id)
	}
	return x.peers.At(n.Addr)
}

func (x *world) checkup(id string) *checkup { return x.w.checkupOf(x.node(id)) }

// shard returns the shard that a node is master or replica of.
func (x *world) shard(id string) *Shard {
	t := x.w.Topology()
	if p := t.MasteredBy(x.node(id)); p != nil {
		return p
	}
	return t.replicatedBy(x.node(id))
}

// answers gives the watcher an answer of a node that was asked a while ago and came at once: it sees all others
// peer.Well, with pongs as old as half the node timeout.
func (x *world) answers(id string, ago time.Duration, changes ...func(*received)) {
	at := time.Now().Add(-ago)
	line, _ := x.view.Node(id)
	a := received{Answer: peer.Answer{Asked: at, Now: at, NodeTimeout: 2 * time.Second, RunID: id}, at: at}
	a.Replication = view.Replication{Master: line.Master, LinkUp: !line.Master, Offset: 100}
	a.View.Nodes = slices.Clone(x.view.Nodes)
	for i := range a.View.Nodes {
		if a.View.Nodes[i].Self = a.View.Nodes[i].ID == id; !a.View.Nodes[i].Self {
			a.View.Nodes[i].Pong = at.Add(-time.Second)
		}
	}
	for _, change := range changes {
		change(&a)
	}
	u := x.checkup(id)
	u.earlier, u.last = u.last, a
}

// shows makes a replica one that keeps up, and that had everything when its master was asked.
func (x *world) shows(id string, asked time.Time) {
	u, line := x.checkup(id), x.w.Topology().Line(x.node(id).Addr)
	u.inStep = true
	u.shows = showing{rights.Evidence{Asked: asked, Offset: 100, Master: line.MasterID}, asked.Add(-listedFor)}
}

// never makes a node one that has never answered.
func (x *world) never(id string) { x.checkup(id).last, x.checkup(id).earlier = received{}, received{} }

// silent makes a node owe an answer for d.
func (x *world) silent(id string, d time.Duration) {
	p := x.node(id)
	p.Stage(peer.Staged{State: p.State(), Silence: d})
}

func (x *world) state(id string, s peer.State) {
	p := x.node(id)
	p.Stage(peer.Staged{State: s, Silence: p.Silence()})
}

func pong(of string, age time.Duration) func(*received) {
	return func(a *received) {
		for i := range a.View.Nodes {
			if a.View.Nodes[i].ID == of {
				a.View.Nodes[i].Pong = a.Now.Add(-age)
			}
		}
	}
}

func offset(n int64) func(*received) { return func(a *received) { a.Replication.Offset = n } }
func linkDown(a *received)           { a.Replication.LinkUp = false }

// types returns the types of the events told so far, in order.
func (x *world) types() []EventType {
	var types []EventType
	told, _ := x.w.events.Since(0)
	for _, ev := range told {
		types = append(types, ev.Type)
	}
	return types
}
