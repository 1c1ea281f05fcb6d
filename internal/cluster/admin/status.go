package admin

import (
	"context"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A NodeStatus is a node and what it says of its own replication.
type NodeStatus struct {
	view.Node
	Answers bool
	LinkUp  bool  // of a replica: in step with its master, or catching up by the stream
	Lag     int64 // of a replica: bytes of the replication stream behind its master; -1 if unknown
}

// Status looks at the cluster and asks every node.
func (c *Client) Status(ctx context.Context) ([]NodeStatus, error) {
	v, said, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	status := make([]NodeStatus, len(v.Nodes))
	for i, n := range v.Nodes {
		its, answers := answerOf(said, n)
		status[i] = NodeStatus{Node: n, Answers: answers, LinkUp: its.LinkUp, Lag: -1}
		master, _ := v.Node(n.MasterID)
		if masters, ok := answerOf(said, master); ok && answers {
			status[i].Lag = max(0, masters.Offset-its.Offset) // the two were asked at once, and one answered first
		}
	}
	return status, nil
}

func answerOf(said map[string]peer.Probed, n view.Node) (view.Replication, bool) {
	probed, ok := said[n.Addr]
	return probed.Replication, ok && probed.Err == nil
}
