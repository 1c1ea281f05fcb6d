package cluster

// VotesExpired reports whether no votes can count any more that the replica at an address was given.
func (c *Client) VotesExpired(addr string) bool {
	wait, known := c.watch.VotesCount(c.peers.At(addr))
	return known && wait <= 0
}
