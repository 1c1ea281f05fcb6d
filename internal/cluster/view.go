package cluster

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Slots is the number of hash slots of every Redis Cluster.
const Slots = 16384

// A View is the cluster as one of its nodes sees it.
type View struct {
	Nodes []Node // sorted by VM, then by role
}

// A Node is one line of CLUSTER NODES.
type Node struct {
	ID       string
	Addr     string // ip:port for clients
	Hostname string // cluster-announce-hostname, may be empty
	Master   bool
	MasterID string // of a replica
	Slots    int    // how many a master owns
	Ranges   string // which, as CLUSTER NODES writes them
	Epoch    int64  // the configuration epoch
	Health   Health
	Self     bool // the node that was asked
}

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
		n.Ranges = strings.Join(f[8:], " ")
		if n.Slots, err = countSlots(f[8:]); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.VM(), b.VM()), compareRoles(a, b), cmp.Compare(a.Addr, b.Addr))
	})
	return nodes, nil
}

func compareRoles(a, b Node) int {
	switch {
	case a.Master == b.Master:
		return 0
	case a.Master:
		return -1
	}
	return 1
}

// countSlots counts "5" and "0-5460"; slots on the move ("[93-<-id]") are counted where they still are.
func countSlots(ranges []string) (int, error) {
	count := 0
	for _, r := range ranges {
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
			return 0, fmt.Errorf("CLUSTER NODES: slots %q", r)
		}
		count += b - a + 1
	}
	return count, nil
}
