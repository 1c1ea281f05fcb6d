package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// lookTimeout bounds the question to one node. Half a second of silence is an answer too.
const lookTimeout = 500 * time.Millisecond

// Look asks all nodes it knows of at once and returns the newest view: the highest epoch, and among equals the one that
// knows the most slots covered and the most nodes to be well. It fails with ErrUnavailable if no node answers.
func (c *Client) Look(ctx context.Context) (view.View, error) {
	addrs := c.addrs()
	views, errs := make([]view.View, len(addrs)), make([]error, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		wg.Go(func() { views[i], errs[i] = c.view(ctx, addr) })
	}
	wg.Wait()

	var best view.View
	for i, v := range views {
		if errs[i] == nil && (best.Nodes == nil || view.Compare(v, best) > 0) {
			best = v
		}
	}
	if best.Nodes == nil {
		return view.View{}, unavailable(errors.Join(errs...))
	}
	c.learn(best)
	return best, nil
}

// view is one node's view, by CLUSTER NODES.
func (c *Client) view(ctx context.Context, addr string) (view.View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	text, err := c.at(addr).ClusterNodes(ctx).Result()
	if err != nil {
		return view.View{}, fmt.Errorf("%s: %w", addr, translate(err))
	}
	return view.Parse(text, addr)
}
