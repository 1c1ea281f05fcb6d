package cluster

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// probeTimeout bounds one question of the watcher to one node.
const probeTimeout = 250 * time.Millisecond

// An answer is what one node said of the cluster and of itself when the watcher asked.
type answer struct {
	asked       time.Time // when the question was sent
	view        view.View
	now         time.Time // by the node's clock; zero if it did not say
	replication view.Replication
	nodeTimeout time.Duration // its cluster-node-timeout; 0 if it did not say
	runID       string        // of its process
}

// probe asks one node what it sees, how its replication is, and what time it is, in one round trip.
func (n *node) probe(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a := answer{asked: time.Now()}
	p := n.questions.Pipeline()
	nodes := p.ClusterNodes(ctx)
	info := p.Info(ctx, "server", "replication")
	config := p.ConfigGet(ctx, "cluster-node-timeout")
	_, _ = p.Exec(ctx) // each has its own error
	text, err := nodes.Result()
	if err != nil {
		return a, err
	}
	if a.view, err = view.Parse(text, n.addr); err != nil {
		return a, err
	}
	fields := view.ParseInfo(info.Val()) // the embedded Redis knows no such section
	a.replication = view.ParseReplication(fields)
	a.runID = fields["run_id"]
	if usec, err := strconv.ParseInt(fields["server_time_usec"], 10, 64); err == nil {
		a.now = time.UnixMicro(usec)
	}
	if ms, err := strconv.ParseInt(config.Val()["cluster-node-timeout"], 10, 64); err == nil {
		a.nodeTimeout = time.Duration(ms) * time.Millisecond
	}
	return a, nil
}

// isLoading reports whether the node answered that it cannot serve yet.
func isLoading(err error) bool { return redis.HasErrorPrefix(err, "LOADING ") }

// Replication asks one node.
func (c *Client) Replication(ctx context.Context, addr string) (view.Replication, error) {
	text, err := c.at(addr).Info(ctx, "replication").Result()
	if err != nil {
		return view.Replication{}, fmt.Errorf("%s: %w", addr, err)
	}
	return view.ParseReplication(view.ParseInfo(text)), nil
}
