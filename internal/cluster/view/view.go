// Package view parses what a node of a Redis Cluster reports about the cluster and about itself, and derives from it the
// slots, the roles, the placement, and the plan that gives every VM one master. It sends nothing and keeps no state.
package view

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"time"
)

// A View is the cluster as one of its nodes sees it.
type View struct {
	Nodes   []Node // sorted by VM, then by role
	Leaving []int  // slots that the asked node is migrating to another node
	Coming  []int  // slots that the asked node is importing from another node
}

// A Node is one line of CLUSTER NODES.
type Node struct {
	ID       string
	Addr     string // ip:port for clients
	Hostname string // cluster-announce-hostname, may be empty
	Endpoint string // host:port with the host name, if the cluster prefers clients to use that; otherwise empty
	Master   bool
	MasterID string // ID of a replica's master; empty for a master
	Slots    int    // how many slots a master owns
	Ranges   []SlotRange
	Epoch    int64 // the configuration epoch
	Health   Health
	Self     bool      // the node that was asked
	Pong     time.Time // when the asked node last received a pong from it, by the asked node's clock; zero for itself
	vm       string    // its VM, if its own hostname and address do not tell; empty if they do
}

// A SlotRange is the slots from First to Last.
type SlotRange struct{ First, Last int }

// Health is the state of a node in the eyes of the asked node.
type Health string

const (
	Healthy   Health = "ok"
	Suspected Health = "suspected" // flag fail?: the asked node cannot reach it
	Failed    Health = "failed"    // flag fail: a majority of masters cannot reach it
	Handshake Health = "handshake" // not a member yet
	NoAddress Health = "no address"
)

// Role is "master" or "replica".
func (n Node) Role() string {
	if n.Master {
		return "master"
	}
	return "replica"
}

// Name is the announced hostname, or the address without one.
func (n Node) Name() string { return cmp.Or(n.Hostname, n.Addr) }

// Covered counts the slots whose master is healthy in the eyes of the asked node.
func (v View) Covered() int {
	covered := 0
	for _, n := range v.Nodes {
		if n.Master && n.Health == Healthy {
			covered += n.Slots
		}
	}
	return covered
}

// Epoch is the highest configuration epoch in the view: every failover raises it.
func (v View) Epoch() int64 {
	var epoch int64
	for _, n := range v.Nodes {
		epoch = max(epoch, n.Epoch)
	}
	return epoch
}

// Balanced reports whether no VM holds two masters with slots.
func (v View) Balanced() bool {
	for _, masters := range v.MastersByVM() {
		if masters > 1 {
			return false
		}
	}
	return true
}

// InPlace counts the healthy nodes that own slots or have a master.
func (v View) InPlace() int {
	count := 0
	for _, n := range v.Nodes {
		if n.Health == Healthy && (n.Slots > 0 || n.MasterID != "") {
			count++
		}
	}
	return count
}

// Equal reports whether two views show the same nodes, roles and slots, whichever nodes were asked.
func (v View) Equal(o View) bool {
	return slices.EqualFunc(v.Nodes, o.Nodes, func(a, b Node) bool {
		return a.ID == b.ID && a.Addr == b.Addr && a.Hostname == b.Hostname && a.Endpoint == b.Endpoint && a.Master == b.Master && a.MasterID == b.MasterID &&
			a.Epoch == b.Epoch && a.Health == b.Health && slices.Equal(a.Ranges, b.Ranges)
	})
}

// Node finds a node by its ID.
func (v View) Node(id string) (Node, bool) {
	i := slices.IndexFunc(v.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return Node{}, false
	}
	return v.Nodes[i], true
}

// Owns reports whether the node owns a slot.
func (n Node) Owns(slot int) bool {
	return slices.ContainsFunc(n.Ranges, func(r SlotRange) bool { return r.First <= slot && slot <= r.Last })
}

// Compare orders views by epoch, then by covered slots, then by healthy nodes.
func Compare(a, b View) int {
	return cmp.Or(cmp.Compare(a.Epoch(), b.Epoch()), cmp.Compare(a.Covered(), b.Covered()), cmp.Compare(a.InPlace(), b.InPlace()))
}

// Reachable reports whether the node can be asked: it is a member and has an address.
func (n Node) Reachable() bool { return n.Health != NoAddress && n.Health != Handshake }

// Self finds the node that was asked.
func (v View) Self() (Node, bool) {
	i := slices.IndexFunc(v.Nodes, func(n Node) bool { return n.Self })
	if i < 0 {
		return Node{}, false
	}
	return v.Nodes[i], true
}

// Reachable are the nodes that can be asked.
func (v View) Reachable() []Node {
	return slices.DeleteFunc(slices.Clone(v.Nodes), func(n Node) bool { return !n.Reachable() })
}

// PreferHostnames makes the announced host names the endpoints of their nodes (cluster-preferred-endpoint-type hostname).
func (v View) PreferHostnames() {
	for i, n := range v.Nodes {
		v.Nodes[i].Endpoint = n.byName()
	}
}

// byName is the node's address with its announced host name as the host; empty if it announces none.
func (n Node) byName() string {
	if _, port, err := net.SplitHostPort(n.Addr); err == nil && n.Hostname != "" {
		return net.JoinHostPort(n.Hostname, port)
	}
	return ""
}

// Named returns the node that has an address, be it with its IP address or with its announced host name; false if there is
// none, or more than one has announced that name.
func (v View) Named(addr string) (named Node, ok bool) {
	for _, n := range v.Nodes {
		switch {
		case addr == "":
		case n.Addr == addr:
			return n, true
		case n.byName() == addr:
			if ok {
				return Node{}, false
			}
			named, ok = n, true
		}
	}
	return named, ok
}

// SameOwners reports whether two views show the same masters with the same slots.
func (v View) SameOwners(o View) bool {
	owned := func(v View) map[string][]SlotRange {
		owned := map[string][]SlotRange{}
		for _, n := range v.Nodes {
			if n.Master && n.Slots > 0 {
				owned[n.ID] = n.Ranges
			}
		}
		return owned
	}
	return maps.EqualFunc(owned(v), owned(o), slices.Equal[[]SlotRange])
}
