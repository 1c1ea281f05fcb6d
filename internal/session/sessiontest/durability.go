package sessiontest

import (
	"slices"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// The cases about the terms of a request.

// reportsDurability allows for a shard without a replica, where a replicated write achieves single.
func reportsDurability(r *run) {
	for asked, want := range map[cluster.Durability][]cluster.Durability{
		cluster.Async:      {cluster.Async},
		cluster.Replicated: {cluster.Replicated, cluster.Single},
	} {
		terms := &session.Terms{Durability: asked}
		ref := r.tenant.NewRef("")
		if _, err := r.Store.Create(r.ctx, terms, ref, session.New{}, ""); err != nil {
			r.Fatalf("%s: %v", asked, err)
		}
		if !slices.Contains(want, terms.Achieved()) {
			r.Errorf("asked for %s: achieved %q", asked, terms.Achieved())
		}
		reading := &session.Terms{Durability: asked}
		if _, err := r.Store.Peek(r.ctx, reading, ref); err != nil {
			r.Fatalf("read after %s: %v", asked, err)
		}
		if got := reading.Achieved(); got != "" {
			r.Errorf("a read achieved %q", got)
		}
	}
}
