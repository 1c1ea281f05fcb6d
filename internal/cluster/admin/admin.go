// Package admin forms a Redis Cluster, shows how it is, and brings every VM back to one master. It asks the nodes over the
// few connections that are for questions, and opens none for traffic.
package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// lookTimeout bounds the question to one node. Half a second of silence is an answer too.
const lookTimeout = 500 * time.Millisecond

// A Client looks after a cluster. Its methods may be called concurrently.
type Client struct {
	peers *peer.Set

	mu      sync.Mutex
	watch   *watch.Watcher // from the first rebalance on; guarded by mu
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New makes a client. It connects to nobody yet.
func New(a peer.Access) *Client {
	return &Client{peers: peer.NewSet(a, nil, peer.Hooks{})}
}

// Close closes every connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stopped.Wait()
	}
	return c.peers.Close()
}

// watcher watches until the client is closed: what it knows by the next rebalance, that need not wait for.
func (c *Client) watcher() *watch.Watcher {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watch == nil {
		c.watch = watch.New(watch.Config{Peers: c.peers})
		ctx, stop := context.WithCancel(context.Background())
		c.stop = stop
		c.stopped.Go(func() { c.watch.Run(ctx) })
	}
	return c.watch
}

// Look asks all nodes it knows of at once and returns the newest view: the highest epoch, and among equals the one that
// knows the most slots covered and the most nodes to be well. It fails with [peer.ErrUnavailable] if no node answers.
func (c *Client) Look(ctx context.Context) (view.View, error) {
	best, _, err := c.look(ctx)
	return best, err
}

// look also returns what each node said.
func (c *Client) look(ctx context.Context) (view.View, map[string]peer.Probed, error) {
	said := map[string]peer.Probed{}
	for {
		var unasked []*peer.Peer
		for _, p := range c.peers.All() {
			if _, ok := said[p.Addr]; !ok {
				unasked = append(unasked, p)
			}
		}
		if len(unasked) == 0 {
			best, err := newest(said)
			return best, said, err
		}
		for _, probed := range c.ask(ctx, unasked) {
			said[probed.Addr] = probed
		}
		if best, err := newest(said); err == nil {
			c.peers.Keep(best.Reachable())
		}
	}
}

func (c *Client) ask(ctx context.Context, peers []*peer.Peer) []peer.Probed {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return peer.ProbeAll(ctx, peers)
}

// newest is the best view of those that were answered with.
func newest(said map[string]peer.Probed) (view.View, error) {
	var best view.View
	var errs []error
	for _, probed := range said {
		switch {
		case probed.Err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", probed.Addr, peer.Translate(probed.Err)))
		case best.Nodes == nil || view.Compare(probed.View, best) > 0:
			best = probed.View
		}
	}
	if best.Nodes == nil {
		return view.View{}, peer.Unavailable(errors.Join(errs...))
	}
	return best, nil
}

// askOne asks one node.
func (c *Client) askOne(ctx context.Context, addr string) (peer.Answer, error) {
	probed := c.ask(ctx, []*peer.Peer{c.peers.At(addr)})[0]
	if probed.Err != nil {
		return peer.Answer{}, fmt.Errorf("%s: %w", addr, peer.Translate(probed.Err))
	}
	return probed.Answer, nil
}

// questions are connections to one node.
func (c *Client) questions(addr string) *redis.Client { return c.peers.At(addr).Questions() }

// until calls step every 100 ms until it succeeds, and returns its last error if the context ends first.
func until(ctx context.Context, step func(context.Context) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := step(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
