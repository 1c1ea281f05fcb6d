package clustertest

import (
	"net/netip"
	"testing"
)

// TakeAddress makes a node answer at the address of a node of another cluster as well, which must have ended: addresses are
// given out again. Whoever has talked to the former owner forgets where that was, as it would in time.
func (r *Real) TakeAddress(t testing.TB, name string, from *Real, former string) {
	t.Helper()
	ip := from.node(t, former).ip
	script := scripts{}
	for _, c := range r.parties(t, name) {
		script.add(c, "ip addr add "+netip.PrefixFrom(ip, r.subnet.Bits()).String()+" dev eth0")
	}
	r.inNetworks(t, script)
	forget := scripts{}
	for _, c := range append(r.everything(), from.everything()...) {
		forget.add(c, "ip neigh flush to "+ip.String()+" dev eth0")
	}
	r.inNetworks(t, forget)
}

// everything returns the containers of all nodes and services.
func (r *Real) everything() []*container {
	var all []*container
	for _, n := range r.nodes {
		all = append(all, n.target())
	}
	for _, s := range r.services.all() {
		all = append(all, s.target())
	}
	return all
}
