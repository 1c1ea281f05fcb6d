// Package cluster reads and writes the keys of a Redis Cluster, even while a node fails: a read survives the loss of its
// master, so does an acknowledged write, and each error has a defined meaning. Package watch tells it the state of the
// cluster, and the peers of package peer send its commands. It knows nothing of sessions.
package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// Config says how to reach the cluster and how to read and write. Only Addrs must be set.
type Config struct {
	peer.Access

	// PoolSize bounds the connections for traffic to one node. Zero means 32.
	PoolSize int

	// Durability is that of writes whose terms ask for none. Empty means Replicated.
	Durability Durability

	// HedgeDelay is how long a read waits for the master before it asks the replica too. Zero means 40 ms.
	HedgeDelay time.Duration

	// MaxWrites bounds the writes of one owner in flight to one shard, including those that wait for a promotion. One more fails with
	// ErrOverloaded. Zero means 4096.
	MaxWrites int

	// FailoverAssist is how long a master may be silent before this client asks its replica to take over. Zero leaves
	// failover to Redis alone.
	FailoverAssist time.Duration

	// Permit is asked before each request of FailoverAssist. Nil lets all be made.
	Permit watch.Permit

	// Examine is the time between two examinations of what the nodes permit and how they are set (package doctor). Zero is
	// for none.
	Examine time.Duration

	// Deadline is that of a request, by which the nodes' timeout is judged. Zero means unknown.
	Deadline time.Duration

	// Log receives the events of the timeline. Nil drops them.
	Log *slog.Logger

	// Metrics is where the client registers its collectors. Nil leaves them unregistered.
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

// A Client reads keys and runs scripts on the nodes that are responsible for them. While the cluster is in trouble, it
// keeps trying until the context ends. Its methods may be called concurrently.
type Client struct {
	cfg     Config
	peers   *peer.Set
	traffic *traffic
	watch   *watch.Watcher
	metrics *metrics
	hedges  budget
	late    lateness
	scans   *semaphore.Weighted // see scansAtOnce
	stop    context.CancelFunc
	stopped sync.WaitGroup
	logged  chan struct{} // closed once the last event is in the log
}

// New makes a client. It returns at once, even while the cluster is down. The client watches the cluster until it is
// closed.
func New(cfg Config) *Client {
	c := assemble(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.stopped.Go(func() { c.watch.Run(ctx) })
	go c.logEvents(ctx)
	return c
}

// assemble makes a client that does not watch yet.
func assemble(cfg Config) *Client {
	cfg.setDefaults()
	c := &Client{cfg: cfg, logged: make(chan struct{}), scans: semaphore.NewWeighted(scansAtOnce)}
	c.metrics = newMetrics(cfg.Metrics)
	c.peers = peer.NewSet(cfg.Access, c.metrics.peer, peer.Hooks{Commit: c.commit, Trouble: c.hasten, Name: c.nameOf, MayBe: c.mayBe})
	c.traffic = newTraffic(cfg, c.peers)
	c.watch = watch.New(watch.Config{
		Peers: c.peers, Metrics: c.metrics.watch, Assist: cfg.FailoverAssist, Permit: cfg.Permit, Examine: cfg.Examine, Deadline: cfg.Deadline, Routed: c.traffic.follow,
	})
	c.metrics.registry.MustRegister(gauges{c})
	return c
}

func (c *Client) hasten() { c.watch.Hasten() }

// mayBe reports whether a node with this ID may answer at an address.
func (c *Client) mayBe(addr, id string) bool { return c.watch.Topology().MayBe(addr, id) }

// nameOf returns a node's announced name for labels, or its address while the name is unknown.
func (c *Client) nameOf(addr string) string { return c.watch.Topology().Line(addr).Name() }

// Close stops watching, closes all connections and unregisters the collectors.
func (c *Client) Close() error {
	c.stop()
	c.stopped.Wait()
	select {
	case <-c.logged:
	case <-time.After(time.Second): // the log is stuck; its last lines are not worth a longer wait
	}
	err := errors.Join(c.traffic.close(), c.peers.Close())
	c.metrics.registry.unregister()
	return err
}

// Events returns the timeline of what this client has seen.
func (c *Client) Events() *watch.Events { return c.watch.Events() }

// Snapshot returns what this client knows of the cluster. It sends no command.
func (c *Client) Snapshot() watch.Snapshot { return c.watch.Snapshot() }

// Ready waits until a node answers and returns a snapshot. It fails when the context ends, or at once if no node accepts
// our credentials.
func (c *Client) Ready(ctx context.Context) (watch.Snapshot, error) { return c.watch.Ready(ctx) }
