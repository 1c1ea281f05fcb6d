package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A create of a user who is at the limit should cost the same, whatever the limit.
func BenchmarkCreateAtLimitOnRealCluster(b *testing.B) {
	store := newStore(b, clustertest.Shared(b).Client(b), time.Now)
	for _, limit := range []int{10, 100, 1000} {
		policy := sessiontest.Policy
		policy.MaxPerUser, policy.EvictOldest = limit, true
		tenant, err := session.NewTenant(fmt.Sprintf("limit-%d", limit), policy, nil)
		if err != nil {
			b.Fatal(err)
		}
		create := func() {
			if _, err := store.Create(b.Context(), nil, tenant.NewRef("user"), session.New{User: "user"}, ""); err != nil {
				b.Error(err)
			}
		}
		for range limit {
			create()
		}
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					create()
				}
			})
		})
	}
}

// The revocation of all of a user's sessions, reported for each session.
func BenchmarkRevokeUserOnRealCluster(b *testing.B) {
	store := newStore(b, clustertest.Shared(b).Client(b), time.Now)
	policy := sessiontest.Policy
	policy.MaxPerUser = 0
	tenant, err := session.NewTenant("revoke", policy, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := store.Create(b.Context(), nil, tenant.NewRef("user"), session.New{User: "user"}, ""); err != nil {
				b.Error(err)
			}
		}
	})
	b.ResetTimer()
	if n, err := store.RevokeUser(b.Context(), nil, tenant, "user", session.Handle{}); err != nil || n != b.N {
		b.Fatalf("revoked %d of %d: %v", n, b.N, err)
	}
}
