// Package cluster is how this service talks to a Redis Cluster: the client and its time limits, what its errors mean,
// the view of its nodes, and how a cluster is formed. It knows nothing of sessions.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

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

	// Dial replaces net.Dialer where the addresses that the cluster announces cannot be reached as they are. TLS is not
	// put on top of it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Client reads keys and runs scripts on whichever node is responsible, and keeps trying until the context ends while
// the cluster is in trouble. Its methods may be called concurrently.
type Client struct {
	rdb   *redis.ClusterClient
	seeds []string
	node  func(addr string) *redis.Client // makes the clients in nodes

	mu    sync.Mutex
	nodes map[string]*redis.Client // by address, for questions to one node; guarded by mu
}

// New makes a client. It connects to nothing yet, so it succeeds while the cluster is down.
func New(cfg Config) *Client {
	if cfg.Attempt == 0 {
		cfg.Attempt = time.Second
	}
	if cfg.PoolSize == 0 {
		cfg.PoolSize = 32
	}
	opt := &redis.ClusterOptions{
		Addrs:     cfg.Addrs,
		Username:  cfg.Username,
		Password:  cfg.Password,
		TLSConfig: cfg.TLS,
		Dialer:    cfg.Dial,

		DialTimeout:           cfg.Attempt,
		DialerRetries:         1, // the default of five hides a dead node for seconds
		ReadTimeout:           cfg.Attempt,
		WriteTimeout:          cfg.Attempt,
		PoolTimeout:           cfg.Attempt,
		PoolSize:              cfg.PoolSize,
		ContextTimeoutEnabled: true,             // or a read outlives the request that asked for it
		MinRetryBackoff:       time.Millisecond, // the record remembers four writes: come back before there are so many
		MaxRetryBackoff:       64 * time.Millisecond,

		DisableRoutingPolicies:   true, // they ask every node for COMMAND; our commands carry their keys
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	c := &Client{rdb: redis.NewClusterClient(opt), seeds: cfg.Addrs, nodes: map[string]*redis.Client{}}
	c.rdb.OnNewNode(func(n *redis.Client) { n.AddHook(attemptHook{}) })
	c.node = func(addr string) *redis.Client {
		return redis.NewClient(&redis.Options{
			Addr: addr, Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS, Dialer: cfg.Dial,
			DialTimeout: cfg.Attempt, DialerRetries: 1, ReadTimeout: cfg.Attempt, WriteTimeout: cfg.Attempt,
			MaxRetries: -1, PoolSize: 2, ContextTimeoutEnabled: true, DisableIdentity: true,
			MaintNotificationsConfig: opt.MaintNotificationsConfig,
		})
	}
	return c
}

// Close closes every connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := []error{c.rdb.Close()}
	for _, n := range c.nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Get is the Redis command GET. It fails with ErrNil if there is no such key.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := c.persist(ctx, func(ctx context.Context) (err error) {
		value, err = c.rdb.Get(ctx, key).Bytes()
		return err
	})
	return value, err
}

// A Script is a Lua script, run by its digest (EVALSHA) and sent whole (EVAL) to a node that does not hold it yet.
type Script struct{ script *redis.Script }

// NewScript prepares a script from its source.
func NewScript(source string) *Script { return &Script{redis.NewScript(source)} }

// Run runs a script that answers with an array of strings. All keys must lie in one slot. The script may run more than
// once for one call, when an answer was lost: it must recognise its own effect.
func (c *Client) Run(ctx context.Context, s *Script, keys []string, args ...any) ([]string, error) {
	var reply []string
	err := c.persist(ctx, func(ctx context.Context) (err error) {
		reply, err = s.script.Run(ctx, c.rdb, keys, args...).StringSlice()
		return err
	})
	return reply, err
}

// persist tries until the outcome is certain or the context ends. The ClusterClient below follows redirects and makes a
// few quick attempts of its own; what lasts longer, a failover above all, is waited for here.
func (c *Client) persist(ctx context.Context, try func(context.Context) error) error {
	ctx, attempts := withAttempts(ctx)
	if err := ctx.Err(); err != nil {
		return attempts.giveUp(err)
	}
	for round := 0; ; round++ {
		err := try(ctx)
		if !transient(err) {
			return attempts.final(err)
		}
		if !pause(ctx, round) {
			return attempts.giveUp(err)
		}
		c.rdb.ReloadState(ctx)
	}
}

// pause waits before another round, longer each time up to a quarter of a second, and reports whether there is time for
// it. The jitter keeps many requests from coming back at once.
func pause(ctx context.Context, round int) bool {
	d := 10 * time.Millisecond << min(round, 4)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
