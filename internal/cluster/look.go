package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lookTimeout bounds the question to one node. Half a second of silence is an answer too.
const lookTimeout = 500 * time.Millisecond

// Look asks all nodes it knows of at once and returns the newest view: the highest epoch, and among equals the one that
// knows the most slots covered and the most nodes to be well. It fails with ErrUnavailable if no node answers.
func (c *Client) Look(ctx context.Context) (View, error) {
	addrs := c.addrs()
	views, errs := make([]View, len(addrs)), make([]error, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() { views[i], errs[i] = c.view(ctx, addr) })
	}
	wg.Wait()

	var best View
	for i, v := range views {
		if errs[i] == nil && (best.Nodes == nil || compareViews(v, best) > 0) {
			best = v
		}
	}
	if best.Nodes == nil {
		return View{}, unavailable(errors.Join(errs...))
	}
	c.learn(best)
	return best, nil
}

// compareViews orders views by epoch, and then by the slots and the nodes that they know to be well.
func compareViews(a, b View) int {
	return cmp.Or(cmp.Compare(a.Epoch(), b.Epoch()), cmp.Compare(a.Covered(), b.Covered()), cmp.Compare(a.inPlace(), b.inPlace()))
}

// view is one node's view, by CLUSTER NODES.
func (c *Client) view(ctx context.Context, addr string) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	text, err := c.at(addr).ClusterNodes(ctx).Result()
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", addr, translate(err))
	}
	return readView(text, addr)
}
