package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lookTimeout bounds the question to one node. Half a second of silence is an answer too, and a probe of readiness has a
// second in all.
const lookTimeout = 500 * time.Millisecond

// Look asks all nodes it knows of at once and returns the newest view: the highest epoch, and among equals the one that
// covers the most slots. It fails with ErrUnavailable if no node answers.
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
		if errs[i] == nil && (best.Nodes == nil || newer(v, best)) {
			best = v
		}
	}
	if best.Nodes == nil {
		return View{}, unavailable(errors.Join(errs...))
	}
	c.learn(best)
	return best, nil
}

func newer(a, b View) bool {
	return cmp.Or(cmp.Compare(a.Epoch(), b.Epoch()), cmp.Compare(a.Covered(), b.Covered())) > 0
}

// view is one node's view, by CLUSTER NODES.
func (c *Client) view(ctx context.Context, addr string) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	text, err := c.at(addr).ClusterNodes(ctx).Result()
	if err != nil {
		return View{}, fmt.Errorf("%s: %w", addr, translate(err))
	}
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
	return View{Nodes: nodes}, nil
}

// Replication is what a node says of its own replication (INFO replication).
type Replication struct {
	LinkUp bool  // of a replica: connected to its master, and no full sync under way
	Offset int64 // bytes of the replication stream that the node has produced or applied
}

// Replication asks one node.
func (c *Client) Replication(ctx context.Context, addr string) (Replication, error) {
	text, err := c.at(addr).Info(ctx, "replication").Result()
	if err != nil {
		return Replication{}, fmt.Errorf("%s: %w", addr, err)
	}
	return parseReplication(text), nil
}

func parseReplication(text string) Replication {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	offset := fields["slave_repl_offset"]
	if fields["role"] == "master" {
		offset = fields["master_repl_offset"]
	}
	r := Replication{LinkUp: fields["master_link_status"] == "up" && fields["master_sync_in_progress"] != "1"}
	r.Offset, _ = strconv.ParseInt(offset, 10, 64) // absent while a replica has no master: 0
	return r
}

// at returns the client for questions to one node.
func (c *Client) at(addr string) *redis.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[addr]
	if !ok {
		n = c.node(addr)
		c.nodes[addr] = n
	}
	return n
}

// addrs are the seeds and every node that a view has shown since.
func (c *Client) addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addrs := slices.Clone(c.seeds)
	for addr := range c.nodes {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// learn remembers the nodes of a view and forgets those that left the cluster.
func (c *Client) learn(v View) {
	known := map[string]bool{}
	for _, s := range c.seeds {
		known[s] = true
	}
	for _, n := range v.Nodes {
		if n.Health != NoAddress && n.Health != Handshake {
			known[n.Addr] = true
			c.at(n.Addr)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, n := range c.nodes {
		if !known[addr] {
			n.Close()
			delete(c.nodes, addr)
		}
	}
}
