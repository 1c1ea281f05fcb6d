package cluster

// VotesExpired reports whether votes of earlier elections no longer count for the replica at an address.
func (c *Client) VotesExpired(addr string) bool {
	wait, known := c.watch.VotesCount(c.peers.At(addr))
	return known && wait <= 0
}
