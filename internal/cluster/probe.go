package cluster

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeTimeout bounds one question of the watcher to one node.
const probeTimeout = 250 * time.Millisecond

// An answer is what one node said of the cluster and of itself when the watcher asked.
type answer struct {
	asked       time.Time // when the question was sent
	view        View
	now         time.Time // by the node's clock; zero if it did not say
	replication Replication
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
	if a.view, err = readView(text, n.addr); err != nil {
		return a, err
	}
	fields := parseInfo(info.Val()) // the embedded Redis knows no such section
	a.replication = parseReplication(fields)
	a.runID = fields["run_id"]
	if usec, err := strconv.ParseInt(fields["server_time_usec"], 10, 64); err == nil {
		a.now = time.UnixMicro(usec)
	}
	if ms, err := strconv.ParseInt(config.Val()["cluster-node-timeout"], 10, 64); err == nil {
		a.nodeTimeout = time.Duration(ms) * time.Millisecond
	}
	return a, nil
}

// readView reads CLUSTER NODES as the node at addr answered it.
func readView(text, addr string) (View, error) {
	nodes, err := parseNodes(text)
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", addr, err)
	}
	for i, n := range nodes {
		if _, port, ok := strings.Cut(n.Addr, ":"); n.Self && ok && strings.HasPrefix(n.Addr, ":") {
			host, _, _ := net.SplitHostPort(addr)
			nodes[i].Addr = net.JoinHostPort(host, port) // a node that has met nobody does not know its own address
		}
	}
	return View{Nodes: nodes, Leaving: movingSlots(text, "->-"), Coming: movingSlots(text, "-<-")}, nil
}

// movingSlots reads what stands as [slot->-id] or [slot-<-id] in the asked node's own line.
func movingSlots(text, way string) []int {
	var slots []int
	for _, field := range strings.Fields(text) {
		first, _, moving := strings.Cut(strings.TrimPrefix(field, "["), way)
		if n, err := strconv.Atoi(first); moving && err == nil {
			slots = append(slots, n)
		}
	}
	return slots
}

// isLoading reports whether the node answered that it cannot serve yet.
func isLoading(err error) bool { return redis.HasErrorPrefix(err, "LOADING ") }

// Replication is what a node says of its own replication (INFO replication).
type Replication struct {
	Master bool
	LinkUp bool  // of a replica: connected to its master, and no full sync under way
	Offset int64 // bytes of the replication stream that the node has produced or applied
}

// Replication asks one node.
func (c *Client) Replication(ctx context.Context, addr string) (Replication, error) {
	text, err := c.at(addr).Info(ctx, "replication").Result()
	if err != nil {
		return Replication{}, fmt.Errorf("%s: %w", addr, err)
	}
	return parseReplication(parseInfo(text)), nil
}

// parseInfo reads the answer of INFO.
func parseInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

func parseReplication(fields map[string]string) Replication {
	r := Replication{Master: fields["role"] == "master"}
	offset := fields["slave_repl_offset"]
	if r.Master {
		offset = fields["master_repl_offset"]
	}
	r.LinkUp = fields["master_link_status"] == "up" && fields["master_sync_in_progress"] != "1"
	r.Offset, _ = strconv.ParseInt(offset, 10, 64) // absent while a replica has no master: 0
	return r
}
