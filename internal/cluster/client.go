// Package cluster is how this service talks to a Redis Cluster: its client and its time limits, the watcher that knows
// the state of every node, reads that survive their master, writes that survive it too, what errors mean, and how a
// cluster is formed. It knows nothing of sessions.
package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says how to reach the cluster. Only Addrs is needed.
type Config struct {
	Addrs    []string // host:port of some nodes; the others are learned from them
	Username string   // of a Redis ACL user; empty for the default user
	Password string
	TLS      *tls.Config // nil: plain TCP

	// Attempt bounds one dial and one round trip to one node. It is short against the deadline of a request, so that a
	// node that stopped answering costs one attempt and not the request. Zero means 1 s.
	Attempt time.Duration

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

	// Dial replaces net.Dialer where the addresses that the cluster announces cannot be reached as they are. TLS is not
	// put on top of it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
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
	rdb     *redis.ClusterClient // keeps the connections for traffic, by the watcher's topology
	watch   *watcher
	metrics *metrics
	hedges  budget
	stop    context.CancelFunc
	stopped sync.WaitGroup

	mu    sync.Mutex
	nodes map[string]*node // by address; guarded by mu
}

// New makes a client. It returns at once, also while the cluster is down, and goes on looking for it until it is closed.
func New(cfg Config) *Client {
	cfg.setDefaults()
	c := &Client{cfg: cfg, nodes: map[string]*node{}}
	c.watch = newWatcher(c)
	c.metrics = newMetrics(c)
	c.watch.events.heard = c.hear
	if cfg.FailoverAssist > 0 {
		c.watch.assist = newAssistant(c.watch, cfg.FailoverAssist)
	}
	c.rdb = redis.NewClusterClient(c.options())
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.stopped.Go(func() { c.watch.run(ctx) })
	return c
}

// options are those of the connections for traffic. What is routed and tried again is decided above them.
func (c *Client) options() *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:        c.cfg.Addrs,
		ClusterSlots: c.clusterSlots,
		Username:     c.cfg.Username,
		Password:     c.cfg.Password,
		NewClient:    c.connections,

		DialTimeout:           c.cfg.Attempt,
		DialerRetries:         1, // the default of five hides a dead node for seconds
		ReadTimeout:           c.cfg.Attempt,
		WriteTimeout:          c.cfg.Attempt,
		PoolTimeout:           c.cfg.Attempt,
		PoolSize:              c.cfg.PoolSize,
		MinIdleConns:          min(2, c.cfg.PoolSize), // a replica that is suddenly needed is not dialled first
		MaxIdleConns:          min(8, c.cfg.PoolSize), // a fault leaves no more behind than peace needs
		ContextTimeoutEnabled: true,                   // or a read outlives the request that asked for it
		MaxRetries:            -1,
		MaxRedirects:          -1,

		DisableRoutingPolicies:   true, // they ask every node for COMMAND; our commands carry their keys
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (c *Client) clusterSlots(context.Context) ([]redis.ClusterSlot, error) {
	t := c.watch.topology.Load()
	if t == nil {
		return nil, ErrUnavailable
	}
	return t.clusterSlots(), nil
}

// connections makes those to one node, through its gate and under the eyes of a hook.
func (c *Client) connections(opt *redis.Options) *redis.Client {
	addr := cmp.Or(opt.NodeAddress, opt.Addr) // for a loopback address, Addr has lost its host
	opt.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.node(addr).gate.connectFor(ctx, network, addr)
	}
	rdb := redis.NewClient(opt)
	rdb.AddHook(attemptHook{c.metrics, func() string { return c.watch.nameOf(addr) }})
	return rdb
}

// rewire has the ClusterClient take the watcher's topology now, which makes the connections to nodes that are new.
func (c *Client) rewire() {
	_ = c.rdb.ForEachShard(context.Background(), func(_ context.Context, rdb *redis.Client) error {
		c.node(rdb.NodeAddress()).traffic.Store(rdb)
		return nil
	})
}

// Close closes every connection.
func (c *Client) Close() error {
	c.stop()
	c.stopped.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := []error{c.rdb.Close()}
	for _, n := range c.nodes {
		errs = append(errs, n.close())
	}
	c.metrics.unregister()
	return errors.Join(errs...)
}

// Events is the timeline of what this client saw.
func (c *Client) Events() *Events { return &c.watch.events }

// hear logs an event.
func (c *Client) hear(ev Event) {
	level := slog.LevelInfo
	if ev.Type == NodeSuspect || ev.Type == NodeUp {
		level = slog.LevelDebug // a slow moment makes both
	}
	c.cfg.Log.LogAttrs(context.Background(), level, ev.Text, slog.String("event", string(ev.Type)), slog.String("node", ev.Node),
		slog.String("vm", ev.VM), slog.String("shard", ev.Shard))
	c.metrics.events.WithLabelValues(string(ev.Type)).Inc()
}
