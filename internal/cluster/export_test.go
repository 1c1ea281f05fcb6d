package cluster

import "time"

// WatchedFor says for how long a client must have watched before it assists on a cluster with that node timeout.
var WatchedFor = votesLast

// Watched is for how long it has.
func (c *Client) Watched() time.Duration { return time.Since(c.watch.since) }
