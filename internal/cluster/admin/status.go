package admin

import (
	"context"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A NodeStatus is a node with its own report of its replication.
type NodeStatus struct {
	view.Node
	Answers bool
	LinkUp  bool  // of a replica: it follows its master's replication stream, and no full sync is in progress
	Lag     int64 // of a replica: how many bytes of the replication stream it is behind its master; -1 if unknown
}

// Status asks every node, and returns the nodes of the newest view with their answers. It fails with
// [peer.ErrUnavailable] if no node answers.
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
			status[i].Lag = max(0, masters.Offset-its.Offset) // the two were asked at once, so the replica may have answered later
		}
	}
	return status, nil
}

func answerOf(said map[string]peer.Probed, n view.Node) (view.Replication, bool) {
	probed, ok := said[n.Addr]
	return probed.Replication, ok && probed.Err == nil
}
