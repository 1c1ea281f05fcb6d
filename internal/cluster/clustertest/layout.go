package clustertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/admin"
)

// A layout says which nodes a cluster has, and where. The zero value is that of the bundle.
type layout struct {
	replicas  int  // of each shard; 1 if 0
	neighbour bool // of another cluster on the same network
}

// An Option changes the cluster that Start starts.
type Option func(*Real)

// TwoReplicas gives each shard a replica on each of the other two VMs. redis-7, redis-8 and redis-9 are the second ones.
func TwoReplicas(r *Real) { r.replicas = 2 }

// A place is a node's name and its VM.
type place struct{ name, vm string }

// hostname is what the node announces.
func (p place) hostname() string { return p.name + "." + p.vm }

// The places by shard.
var (
	masters  = []place{{"redis-1", "vm1"}, {"redis-2", "vm2"}, {"redis-3", "vm3"}}
	replicas = []place{{"redis-4", "vm3"}, {"redis-5", "vm1"}, {"redis-6", "vm2"}}
	seconds  = []place{{"redis-7", "vm2"}, {"redis-8", "vm3"}, {"redis-9", "vm1"}}
)

// ofNeighbour begins the names of a second cluster's nodes and VMs.
const ofNeighbour = "other-"

// places returns the masters by shard, then the first replica of each, then the second ones.
func (l layout) places() []place {
	all := append(append([]place(nil), masters...), replicas...)
	if l.replicas == 2 {
		all = append(all, seconds...)
	}
	if l.neighbour {
		for i, p := range all {
			all[i] = place{ofNeighbour + p.name, ofNeighbour + p.vm}
		}
	}
	return all
}

// firstIP is where in the subnet the nodes' addresses begin.
func (l layout) firstIP() int {
	if l.neighbour {
		return neighbourIPs
	}
	return nodeIPs
}

// StartBeside starts another cluster for one test, on the network of this one. Its nodes are other-redis-1 and so on, its VMs
// other-vm1 and so on. The two know nothing of each other. Call Start first, so that this one, which owns the network, ends last.
func (r *Real) StartBeside(t *testing.T) *Real {
	t.Helper()
	return startOwn(t, &Real{layout: layout{neighbour: true}, network: r.network, subnet: r.subnet, direct: r.direct, guest: true}, true)
}

// settle waits until every node counts each replica to its master's shard (CLUSTER SHARDS). They tell each other the IDs of shards some
// seconds after the cluster was formed. A node of Valkey 8.1.1 that is restarted before keeps both IDs in its nodes.conf, and does not start
// again: "corrupted cluster config file" (valkey-io/valkey 774, 2171).
func (r *Real) settle(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, n := range r.nodes {
		rdb := r.single(n)
		defer rdb.Close()
		for {
			shards, err := rdb.ClusterShards(ctx).Result()
			if err == nil && len(shards) == len(masters) &&
				!slices.ContainsFunc(shards, func(s redis.ClusterShard) bool { return len(s.Nodes) != len(r.nodes)/len(masters) }) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s: the shards have not settled: %v, %w", n.name, shards, ctx.Err())
			case <-tick.C:
			}
		}
	}
	return nil
}

// Size returns how many nodes the cluster has.
func (r *Real) Size() int { return len(r.nodes) }

// Shards returns the layout by shard: node i is the master of shard i, and nodes i+3 and, if there are two, i+6 its replicas.
func (r *Real) Shards() []admin.Layout {
	shards := make([]admin.Layout, len(masters))
	for i, n := range r.nodes {
		shard := &shards[i%len(shards)]
		if i < len(shards) {
			shard.Master = n.addr
		} else {
			shard.Replicas = append(shard.Replicas, n.addr)
		}
	}
	return shards
}
