package admin

import (
	"context"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
)

// Examine examines every node of the newest view. It fails with [peer.ErrUnavailable] if no node answers.
func (c *Client) Examine(ctx context.Context, terms doctor.Terms) (doctor.Report, error) {
	v, err := c.Look(ctx)
	if err != nil {
		return doctor.Report{}, err
	}
	return doctor.Examine(ctx, v, c.peers.At, terms), nil
}
