package clustertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
)

// The containers' network. Its subnet is chosen here, because the engine gives fixed addresses only on a chosen subnet,
// and a VM must return under its former addresses.

// Where in the subnet the addresses of nodes and services begin; the gateway, which is the host, has the first.
const (
	nodeIPs      = 11
	neighbourIPs = 31 // of the nodes of a second cluster
	serviceIPs   = 101
)

// makeNetwork takes a subnet that is not in use. The engine refuses one that overlaps another network.
func (r *Real) makeNetwork(ctx context.Context) error {
	var errs []error
	for range 20 {
		r.subnet = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, byte(rand.N(256)), 0}), 24)
		made, err := tcnetwork.New(ctx, tcnetwork.WithLabels(labels()), tcnetwork.WithIPAM(&network.IPAM{
			Driver: "default", Config: []network.IPAMConfig{{Subnet: r.subnet, Gateway: r.ip(1)}},
		}))
		if err == nil {
			r.network = made
			r.direct, err = isOurs(r.ip(1))
			return err
		}
		errs = append(errs, err)
		if !strings.Contains(err.Error(), "overlaps") {
			break
		}
	}
	return errors.Join(errs...)
}

// ip returns an address on the network.
func (r *Real) ip(i int) netip.Addr {
	a := r.subnet.Addr().As4()
	a[3] = byte(i)
	return netip.AddrFrom4(a)
}

// isOurs reports whether an address belongs to this machine. If the gateway's does, so does the bridge behind it.
func isOurs(ip netip.Addr) (bool, error) {
	addrs, err := net.InterfaceAddrs()
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == ip
	}), err
}

// needDirect skips a test whose fault cannot be made if the engine runs on another machine. If SESSIOND_TEST_CLUSTER is
// "required", it fails the test instead.
func (r *Real) needDirect(t testing.TB) {
	t.Helper()
	if r.direct {
		return
	}
	if os.Getenv("SESSIOND_TEST_CLUSTER") == "required" {
		t.Fatal("the faults of the network are required, but the Docker engine is not this machine's")
	}
	t.Skip("no faults of the network where the Docker engine is not this machine's")
}
