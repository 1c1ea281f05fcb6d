package cluster

import (
	"context"
	"sync"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A NodeStatus is a node and what it says of its own replication.
type NodeStatus struct {
	view.Node
	Reachable bool
	LinkUp    bool  // of a replica: in step with its master, or catching up by the stream
	Lag       int64 // of a replica: bytes of the replication stream behind its master; -1 if unknown
}

// Status looks at the cluster and asks every node.
func (c *Client) Status(ctx context.Context) ([]NodeStatus, error) {
	v, err := c.Look(ctx)
	if err != nil {
		return nil, err
	}
	status := make([]NodeStatus, len(v.Nodes))
	offsets := make([]int64, len(v.Nodes))
	var wg sync.WaitGroup
	for i, n := range v.Nodes {
		status[i] = NodeStatus{Node: n, Lag: -1}
		if n.Health == view.NoAddress {
			continue
		}
		wg.Go(func() {
			r, err := c.Replication(ctx, n.Addr)
			status[i].Reachable, status[i].LinkUp = err == nil, r.LinkUp
			offsets[i] = r.Offset
		})
	}
	wg.Wait()
	for i, replica := range status {
		for j, master := range status {
			if replica.MasterID == master.ID && replica.Reachable && master.Reachable {
				status[i].Lag = max(0, offsets[j]-offsets[i]) // the two were asked one after the other
			}
		}
	}
	return status, nil
}
