// Package admin forms a Redis Cluster, reports its status, and rebalances it so that every VM has one master again. It uses
// only the few connections for questions to each node, and opens none for traffic.
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

// lookTimeout bounds the probe of one node. A node that is silent for half a second counts as unreachable.
const lookTimeout = 500 * time.Millisecond

// A Client administers a cluster. Its methods may be called concurrently.
type Client struct {
	peers *peer.Set

	mu      sync.Mutex
	watch   *watch.Watcher // nil before the first rebalance; guarded by mu
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New makes a client. It does not connect yet.
func New(a peer.Access) *Client {
	return &Client{peers: peer.NewSet(a, nil, peer.Hooks{})}
}

// Close stops watching and closes all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stopped.Wait()
	}
	return c.peers.Close()
}

// watcher returns the client's watcher and starts it if there is none. It watches until the client is closed, so that a
// later rebalance need not wait for it again.
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

// Look asks all nodes at once, and the nodes that it learns of, and returns the newest view: the one with the highest
// epoch, and among those the one with the most covered slots, and then the most healthy nodes. It fails with
// [peer.ErrUnavailable] if no node answers.
func (c *Client) Look(ctx context.Context) (view.View, error) {
	best, _, err := c.look(ctx)
	return best, err
}

// look also returns the answer of each node, by its address.
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
			c.peers.Meet(best.Reachable()) // only a watcher forgets peers, which its topology may hold
		}
	}
}

func (c *Client) ask(ctx context.Context, peers []*peer.Peer) []peer.Probed {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return peer.ProbeAll(ctx, peers)
}

// newest returns the newest of the views that the nodes answered with.
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

// askOne returns the answer of one node.
func (c *Client) askOne(ctx context.Context, addr string) (peer.Answer, error) {
	probed := c.ask(ctx, []*peer.Peer{c.peers.At(addr)})[0]
	if probed.Err != nil {
		return peer.Answer{}, fmt.Errorf("%s: %w", addr, peer.Translate(probed.Err))
	}
	return probed.Answer, nil
}

// questions returns the client for one node.
func (c *Client) questions(addr string) *redis.Client { return c.peers.At(addr).Questions() }

// until calls step every 100 ms until it succeeds. If the context ends first, it returns the last error of step.
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
