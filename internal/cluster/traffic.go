package cluster

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// Traffic keeps the connections for reads and writes in a ClusterClient of go-redis, which routes nothing. The Client
// decides where a command goes and whether it is sent again, by what the watcher knows. A new view takes a straight path:
//
//	the watcher adopts it -> follow makes it the ClusterClient's slot map -> each peer gets its connections
type traffic struct {
	peers *peer.Set
	rdb   *redis.ClusterClient
	slots atomic.Pointer[[]redis.ClusterSlot] // nil before the first view
}

func newTraffic(cfg Config, peers *peer.Set) *traffic {
	t := &traffic{peers: peers}
	t.rdb = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:        cfg.Addrs,
		ClusterSlots: t.clusterSlots,
		NewClient:    t.connect,
		Username:     cfg.Username,
		Password:     cfg.Password,

		CredentialsProvider: cfg.Credentials,

		DialTimeout:           cfg.Attempt,
		DialerRetries:         1, // the default of five hides a dead node for seconds
		ReadTimeout:           cfg.Attempt,
		WriteTimeout:          cfg.Attempt,
		PoolTimeout:           cfg.Attempt,
		PoolSize:              cfg.PoolSize,
		MinIdleConns:          min(2, cfg.PoolSize), // a replica that is suddenly needed has connections already
		MaxIdleConns:          min(8, cfg.PoolSize), // a fault leaves no more connections behind than normal load needs
		ContextTimeoutEnabled: true,                 // or a read would outlive its request
		MaxRetries:            -1,
		MaxRedirects:          -1,

		DisableRoutingPolicies:   true, // they ask every node for COMMAND; our commands carry their keys
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return t
}

// follow makes a topology the slot map, and gives each peer its connections. Calls must not overlap.
func (t *traffic) follow(top *watch.Topology) {
	slots := slotMap(top)
	t.slots.Store(&slots)
	_ = t.rdb.ForEachShard(context.Background(), func(_ context.Context, rdb *redis.Client) error {
		t.peers.At(rdb.NodeAddress()).Carry(rdb)
		return nil
	})
}

// clusterSlots returns the slot map to the ClusterClient.
func (t *traffic) clusterSlots(context.Context) ([]redis.ClusterSlot, error) {
	slots := t.slots.Load()
	if slots == nil {
		return nil, ErrUnavailable
	}
	return *slots, nil
}

// connect makes the client of one node.
func (t *traffic) connect(opt *redis.Options) *redis.Client {
	addr := cmp.Or(opt.NodeAddress, opt.Addr) // for a loopback address, Addr has lost its host
	return t.peers.NewClient(addr, opt)
}

func (t *traffic) close() error { return t.rdb.Close() }

// slotMap converts a topology for the ClusterClient: for each range of slots, first the master and then its replicas.
func slotMap(top *watch.Topology) []redis.ClusterSlot {
	var slots []redis.ClusterSlot
	for _, s := range top.Shards {
		nodes := []redis.ClusterNode{{ID: s.Info.ID, Addr: s.Info.Addr}}
		for _, r := range s.Replicas {
			nodes = append(nodes, redis.ClusterNode{ID: r.Info.ID, Addr: r.Info.Addr})
		}
		for _, r := range s.Ranges {
			slots = append(slots, redis.ClusterSlot{Start: r.First, End: r.Last, Nodes: nodes})
		}
	}
	return slots
}
