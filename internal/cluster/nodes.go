package cluster

import (
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// The nodes that a client knows, by address.

// at returns the client for questions to one node.
func (c *Client) at(addr string) *redis.Client { return c.node(addr).questions }

// node returns the node at an address.
func (c *Client) node(addr string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[addr]
	if !ok {
		n = c.newNode(addr)
		c.nodes[addr] = n
	}
	return n
}

// addrs are the seeds and every node that a view has shown since.
func (c *Client) addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addrs := slices.Clone(c.cfg.Addrs)
	for addr := range c.nodes {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// learn makes the nodes of a view and forgets those that left the cluster.
func (c *Client) learn(v view.View) {
	known := map[string]bool{}
	for _, s := range c.cfg.Addrs {
		known[s] = true
	}
	for _, n := range v.Nodes {
		if n.Health != view.NoAddress && n.Health != view.Handshake {
			known[n.Addr] = true
			c.node(n.Addr)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, n := range c.nodes {
		if !known[addr] {
			n.close()
			delete(c.nodes, addr)
		}
	}
}

// knows reports whether the node is still one of the cluster's, or a seed.
func (c *Client) knows(n *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[n.addr] == n
}
