package cluster

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Slots is the number of hash slots of every Redis Cluster.
const Slots = 16384

// A View is the cluster as one of its nodes sees it.
type View struct {
	Nodes   []Node // sorted by VM, then by role
	Leaving []int  // slots that the asked node is moving to another
	Coming  []int  // slots that another is moving to the asked node
}

// A Node is one line of CLUSTER NODES.
type Node struct {
	ID       string
	Addr     string // ip:port for clients
	Hostname string // cluster-announce-hostname, may be empty
	Master   bool
	MasterID string // of a replica
	Slots    int    // how many a master owns
	Ranges   []SlotRange
	Epoch    int64 // the configuration epoch
	Health   Health
	Self     bool      // the node that was asked
	Pong     time.Time // when the asked node last had a pong of it, by the asked node's clock; zero for itself
}

// A SlotRange is the slots from First to Last.
type SlotRange struct{ First, Last int }

// Health is what the asked node thinks of another.
type Health string

const (
	Healthy   Health = "ok"
	Suspected Health = "suspected" // fail?: silent to the asked node
	Failed    Health = "failed"    // fail: silent to a majority of masters
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

// VM is the machine a node runs on: what follows the first dot of its announced hostname ("redis-1.vm1"), or its IP.
func (n Node) VM() string {
	if _, vm, ok := strings.Cut(n.Hostname, "."); ok {
		return vm
	}
	host, _, err := net.SplitHostPort(n.Addr)
	if err != nil {
		return n.Addr
	}
	return host
}

// Covered counts the slots whose master the asked node believes to be well.
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

// inPlace counts the nodes that are well and have slots, or a master.
func (v View) inPlace() int {
	count := 0
	for _, n := range v.Nodes {
		if n.Health == Healthy && (n.Slots > 0 || n.MasterID != "") {
			count++
		}
	}
	return count
}

// equal reports whether two views show the same, whoever was asked.
func (v View) equal(o View) bool {
	return slices.EqualFunc(v.Nodes, o.Nodes, func(a, b Node) bool {
		return a.ID == b.ID && a.Addr == b.Addr && a.Hostname == b.Hostname && a.Master == b.Master && a.MasterID == b.MasterID &&
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

// parseNodes reads the answer of CLUSTER NODES:
//
//	id ip:port@bus[,hostname] flags master ping pong epoch link slot...
func parseNodes(text string) ([]Node, error) {
	var nodes []Node
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES: %d fields in %q", len(f), line)
		}
		epoch, err := strconv.ParseInt(f[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES: epoch %q", f[6])
		}
		n := Node{ID: f[0], Epoch: epoch, Health: Healthy}
		endpoint, rest, _ := strings.Cut(f[1], ",")
		n.Addr, _, _ = strings.Cut(endpoint, "@")
		n.Hostname, _, _ = strings.Cut(rest, ",")
		if f[3] != "-" {
			n.MasterID = f[3]
		}
		if ms, err := strconv.ParseInt(f[5], 10, 64); err == nil && ms > 0 {
			n.Pong = time.UnixMilli(ms)
		}
		for flag := range strings.SplitSeq(f[2], ",") {
			switch flag {
			case "myself":
				n.Self = true
			case "master":
				n.Master = true
			case "fail?":
				n.Health = Suspected
			case "fail":
				n.Health = Failed
			case "handshake":
				n.Health = Handshake
			case "noaddr":
				n.Health = NoAddress
			}
		}
		if n.Ranges, err = parseRanges(f[8:]); err != nil {
			return nil, err
		}
		for _, r := range n.Ranges {
			n.Slots += r.Last - r.First + 1
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.VM(), b.VM()), compareBool(b.Master, a.Master), cmp.Compare(a.Addr, b.Addr))
	})
	return nodes, nil
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// parseRanges reads "5" and "0-5460"; slots on the move ("[93-<-id]") are counted where they still are.
func parseRanges(fields []string) ([]SlotRange, error) {
	var ranges []SlotRange
	for _, r := range fields {
		if strings.HasPrefix(r, "[") {
			continue
		}
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 0 || b < a || b >= Slots {
			return nil, fmt.Errorf("CLUSTER NODES: slots %q", r)
		}
		ranges = append(ranges, SlotRange{a, b})
	}
	return ranges, nil
}

// owns reports whether a slot is among the node's.
func (n Node) owns(slot int) bool {
	return slices.ContainsFunc(n.Ranges, func(r SlotRange) bool { return r.First <= slot && slot <= r.Last })
}
