// Package cluster reads and writes the keys of a Redis Cluster, also while one of its nodes dies: reads that survive their
// master, writes that survive it too, and what their errors mean. What is true of the cluster it learns from package watch,
// and it sends by the peers of package peer. It knows nothing of sessions.
package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// Config says how to reach the cluster, and how to read and write there. Only Addrs is needed.
type Config struct {
	peer.Access

	// PoolSize bounds the connections to one node. Zero means 32.
	PoolSize int

	// Durability of writes whose request asks for none. Empty means Replicated.
	Durability Durability

	// HedgeDelay is how long a read waits for its master before its replica is asked too. Zero means 40 ms.
	HedgeDelay time.Duration

	// MaxWrites bounds the writes under way to one shard, those that wait for a promotion included; one more fails with
	// ErrOverloaded. Zero means 4096.
	MaxWrites int

	// FailoverAssist is for how long a master may be silent before this client asks its replica to take over. Zero
	// leaves failover to Redis alone.
	FailoverAssist time.Duration

	// Log gets the events of the timeline; nil drops them.
	Log *slog.Logger

	// Metrics is where the client registers its collectors; nil leaves them unregistered.
	Metrics prometheus.Registerer
}

func (cfg *Config) setDefaults() {
	if cfg.Attempt == 0 {
		cfg.Attempt = time.Second
	}
	if cfg.PoolSize == 0 {
		cfg.PoolSize = 32
	}
	if cfg.Durability == "" {
		cfg.Durability = Replicated
	}
	if cfg.HedgeDelay == 0 {
		cfg.HedgeDelay = 40 * time.Millisecond
	}
	if cfg.MaxWrites == 0 {
		cfg.MaxWrites = 4096
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
}

// A Client reads keys and runs scripts on whichever node is responsible, and keeps trying until the context ends while
// the cluster is in trouble. Its methods may be called concurrently.
type Client struct {
	cfg     Config
	peers   *peer.Set
	traffic *traffic
	watch   *watch.Watcher
	metrics *metrics
	hedges  budget
	stop    context.CancelFunc
	stopped sync.WaitGroup
	logged  chan struct{} // closed when the last event is in the log
}

// New makes a client. It returns at once, also while the cluster is down, and goes on looking for it until it is closed.
func New(cfg Config) *Client {
	c := assemble(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.stopped.Go(func() { c.watch.Run(ctx) })
	go c.logEvents(ctx)
	return c
}

// assemble makes a client that does nothing yet.
func assemble(cfg Config) *Client {
	cfg.setDefaults()
	c := &Client{cfg: cfg, logged: make(chan struct{})}
	c.metrics = newMetrics(cfg.Metrics)
	c.peers = peer.NewSet(cfg.Access, c.metrics.peer, peer.Hooks{Commit: c.commit, Trouble: c.hasten, Name: c.nameOf})
	c.traffic = newTraffic(cfg, c.peers)
	c.watch = watch.New(watch.Config{Peers: c.peers, Metrics: c.metrics.watch, Assist: cfg.FailoverAssist, Routed: c.traffic.follow})
	c.metrics.registry.MustRegister(gauges{c})
	return c
}

func (c *Client) hasten() { c.watch.Hasten() }

// nameOf is a node's announced name, for labels; its address while that is not known.
func (c *Client) nameOf(addr string) string { return c.watch.Topology().Line(addr).Name() }

// Close closes every connection.
func (c *Client) Close() error {
	c.stop()
	c.stopped.Wait()
	select {
	case <-c.logged:
	case <-time.After(time.Second): // the log is stuck; its last lines are not worth more
	}
	err := errors.Join(c.traffic.close(), c.peers.Close())
	c.metrics.registry.unregister()
	return err
}

// Events is the timeline of what this client saw.
func (c *Client) Events() *watch.Events { return c.watch.Events() }

// Snapshot is what this client knows of the cluster. It asks nobody.
func (c *Client) Snapshot() watch.Snapshot { return c.watch.Snapshot() }

// Ready returns a snapshot once there is one, or why there is none when the context ends.
func (c *Client) Ready(ctx context.Context) (watch.Snapshot, error) { return c.watch.Ready(ctx) }
