package view

import (
	"cmp"
	"net"
	"slices"
	"strings"
)

// VM is the machine that the node runs on, as [View.PlaceOn] was told; else the part of its announced hostname after the first
// dot ("redis-1.vm1"); else, without a hostname, its IP address. If all nodes share that part of the hostname, it is a domain
// that says nothing ("redis-0.headless.shop.svc.cluster.local"), and the VM is the part before the dot.
func (n Node) VM() string {
	if n.vm != "" {
		return n.vm
	}
	if _, vm, ok := strings.Cut(n.Hostname, "."); ok {
		return vm
	}
	return n.host()
}

// host is the node's address without the port.
func (n Node) host() string {
	host, _, err := net.SplitHostPort(n.Addr)
	if err != nil {
		return n.Addr
	}
	return host
}

// PlaceOn tells the view which VMs its nodes are on: by their announced hostname, their address, or their address without the
// port. The VM of a node that is not told stays what it is.
func (v View) PlaceOn(vms map[string]string) {
	if len(vms) == 0 {
		return
	}
	for i, n := range v.Nodes {
		v.Nodes[i].vm = cmp.Or(vms[n.Hostname], vms[n.Addr], vms[n.host()], n.vm)
	}
	sortNodes(v.Nodes)
}

// At is the node where another view has it: at that address, by that name, on that VM.
func (n Node) At(other Node) Node {
	n.Addr, n.Endpoint, n.vm = other.Addr, other.Endpoint, other.vm
	return n
}

// nameVMs makes the nodes' own names their VMs if they share a domain.
func nameVMs(nodes []Node) {
	if !shareDomain(nodes) {
		return
	}
	for i, n := range nodes {
		nodes[i].vm, _, _ = strings.Cut(n.Hostname, ".")
	}
}

// shareDomain reports whether the hostnames of all nodes, of which there are several, are the same from the first dot on. It is
// false while the hostname of one is not known: it may be about to tell another VM.
func shareDomain(nodes []Node) bool {
	var domains []string
	for _, n := range nodes {
		if n.Reachable() {
			_, domain, _ := strings.Cut(n.Hostname, ".")
			domains = append(domains, domain)
		}
	}
	return len(domains) > 1 && domains[0] != "" && !slices.ContainsFunc(domains, func(d string) bool { return d != domains[0] })
}
