package rights

import (
	"slices"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Key is the key of a register.
func Key(slot int) string { return key(slot) }

// FollowWithout makes the masters of a view but one the council.
func (c *Council) FollowWithout(v view.View, id string, at func(string) *peer.Peer) {
	v.Nodes = slices.DeleteFunc(slices.Clone(v.Nodes), func(n view.Node) bool { return n.ID == id })
	c.Follow(v, at)
}
