package view

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parse parses the reply of the node at addr to CLUSTER NODES.
func Parse(text, addr string) (View, error) {
	nodes, err := parseNodes(text)
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", addr, err)
	}
	if len(nodes) == 0 {
		return View{}, fmt.Errorf("%s: CLUSTER NODES is empty", addr)
	}
	for i, n := range nodes {
		if _, port, ok := strings.Cut(n.Addr, ":"); n.Self && ok && strings.HasPrefix(n.Addr, ":") {
			host, _, _ := net.SplitHostPort(addr)
			nodes[i].Addr = net.JoinHostPort(host, port) // a node that has met no other does not know its own address
		}
	}
	return View{Nodes: nodes, Leaving: movingSlots(text, "->-"), Coming: movingSlots(text, "-<-")}, nil
}

// parseNodes parses the lines of CLUSTER NODES:
//
//	id ip:port@bus[,hostname] flags master ping pong epoch link slot...
func parseNodes(text string) ([]Node, error) {
	var nodes []Node
	for line := range strings.Lines(text) {
		if len(strings.TrimSpace(line)) == 0 {
			continue
		}
		n, err := parseNode(line)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES: %w", err)
		}
		nodes = append(nodes, n)
	}
	nameVMs(nodes)
	sortNodes(nodes)
	return nodes, nil
}

func sortNodes(nodes []Node) {
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.VM(), b.VM()), compareBool(b.Master, a.Master), cmp.Compare(a.Addr, b.Addr))
	})
}

func parseNode(line string) (Node, error) {
	f := strings.Fields(line)
	if len(f) < 8 {
		return Node{}, fmt.Errorf("%d fields in %q", len(f), line)
	}
	epoch, err := strconv.ParseInt(f[6], 10, 64)
	if err != nil {
		return Node{}, fmt.Errorf("epoch %q", f[6])
	}
	n := Node{ID: f[0], Epoch: epoch, Health: Healthy}
	endpoint, rest, _ := strings.Cut(f[1], ",")
	addr, _, _ := strings.Cut(endpoint, "@")
	n.Addr = Bracketed(addr)
	n.Hostname, _, _ = strings.Cut(rest, ",")
	n.setFlags(f[2])
	if f[3] != "-" {
		n.MasterID = f[3]
	}
	if ms, err := strconv.ParseInt(f[5], 10, 64); err == nil && ms > 0 {
		n.Pong = time.UnixMilli(ms)
	}
	n.Ranges, err = parseRanges(f[8:])
	for _, r := range n.Ranges {
		n.Slots += r.Last - r.First + 1
	}
	return n, err
}

func (n *Node) setFlags(flags string) {
	for flag := range strings.SplitSeq(flags, ",") {
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
}

// parseRanges parses "5" and "0-5460". It skips slots that are being moved ("[93-<-id]"): their owner lists them too.
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
			return nil, fmt.Errorf("slots %q", r)
		}
		ranges = append(ranges, SlotRange{a, b})
	}
	return ranges, nil
}

// movingSlots parses [slot->-id] and [slot-<-id], which only the asked node's own line has.
func movingSlots(text, way string) []int {
	var slots []int
	for _, field := range strings.Fields(text) {
		first, _, moving := strings.Cut(strings.TrimPrefix(field, "["), way)
		if n, err := strconv.Atoi(first); moving && err == nil {
			slots = append(slots, n)
		}
	}
	return slots
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
