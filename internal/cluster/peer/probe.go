package peer

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// An Answer is what one node reports about the cluster and about itself.
type Answer struct {
	Asked       time.Time // when the question was sent
	View        view.View
	Now         time.Time // by the node's clock; zero if unknown
	Replication view.Replication
	NodeTimeout time.Duration // its cluster-node-timeout, or Access.NodeTimeout if it does not tell; 0 if neither is known
	RunID       string        // of its process; empty if unknown
	Epoch       int64         // its current epoch, which every election that it hears of raises; 0 if unknown
}

// Probe asks the node for its view, its replication state and its clock in one round trip (CLUSTER NODES, CLUSTER INFO,
// INFO, CONFIG GET). What the node refuses to tell stays zero, but for the node timeout. Without a view, the probe fails.
func (p *Peer) Probe(ctx context.Context) (Answer, error) {
	a := Answer{Asked: time.Now()}
	pipe := p.questions.Pipeline()
	nodes := pipe.ClusterNodes(ctx)
	cluster := pipe.ClusterInfo(ctx)
	info := pipe.Info(ctx, "server", "replication")
	config := redis.NewMapStringStringCmd(ctx, "config", "get", "cluster-node-timeout", "cluster-preferred-endpoint-type")
	_ = pipe.Process(ctx, config) // queues it
	_, _ = pipe.Exec(ctx)         // each has its own error
	p.refuses(letIn(nodes.Err()) != nil || hasPrefix(nodes.Err(), "NOAUTH "))
	p.loading.Store(isLoading(nodes.Err()))
	if err := noReply(nodes, cluster, info, config); err != nil {
		return a, err
	}
	text, err := nodes.Result()
	if err != nil {
		return a, err
	}
	if a.View, err = view.Parse(text, p.Addr); err != nil {
		return a, err
	}
	a.View.PlaceOn(p.access.VMs)
	fields := view.ParseInfo(info.Val()) // empty on the embedded Redis, which has no such section
	a.Replication = view.ParseReplication(fields)
	a.RunID = fields["run_id"]
	a.Epoch, _ = strconv.ParseInt(view.ParseInfo(cluster.Val())["cluster_current_epoch"], 10, 64)
	if usec, err := strconv.ParseInt(fields["server_time_usec"], 10, 64); err == nil {
		a.Now = time.UnixMicro(usec)
	}
	if config.Val()["cluster-preferred-endpoint-type"] == "hostname" { // many announce names that nobody can resolve
		a.View.PreferHostnames()
	}
	a.NodeTimeout = p.access.NodeTimeout
	if ms, err := strconv.ParseInt(config.Val()["cluster-node-timeout"], 10, 64); err == nil {
		a.NodeTimeout = time.Duration(ms) * time.Millisecond
	}
	return a, nil
}

// noReply returns the error of the first command that has no reply at all, not even an error reply. A torn answer must not
// count: a missing run ID would look like another process.
func noReply(cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !IsReply(err) && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// A Probed is a peer with its answer, or with the error of its probe.
type Probed struct {
	*Peer
	Answer
	Err error
}

// ProbeAll probes all peers concurrently and returns the results in the order of the peers.
func ProbeAll(ctx context.Context, peers []*Peer) []Probed {
	probed := make([]Probed, len(peers))
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			a, err := p.Probe(ctx)
			probed[i] = Probed{p, a, err}
		})
	}
	wg.Wait()
	return probed
}
