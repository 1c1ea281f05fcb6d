package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// How long a replace of 512 bytes keeps a master's thread, beside a plain SET.
func BenchmarkReplaceOnRealCluster(b *testing.B) {
	real := clustertest.Shared(b)
	store, tenant := newStore(b, real.Client(b), time.Now), sessiontest.Tenant(b, "replace")
	async := func() *session.Terms { return &session.Terms{Durability: cluster.Async} }
	content := session.Content{Data: jsontext.Value(`"` + strings.Repeat("x", 510) + `"`)}
	refs := map[string][]session.Ref{}
	for i := range 300 {
		for _, user := range []string{"", fmt.Sprint("user-", i)} {
			ref := tenant.NewRef(user)
			if _, err := store.Create(b.Context(), async(), ref, session.New{User: user, Content: content}, ""); err != nil {
				b.Fatal(err)
			}
			kind := map[bool]string{true: "without a user", false: "with a user"}[user == ""]
			refs[kind] = append(refs[kind], ref)
		}
	}
	measure := func(name, command string, call func() error) {
		b.Run(name, func(b *testing.B) {
			calls, spent := real.Spent(b, command)
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := call(); err != nil {
						b.Error(err)
					}
				}
			})
			n, all := real.Spent(b, command)
			b.ReportMetric(float64((all-spent).Nanoseconds())/float64(n-calls)/1000, "redis-us/op")
		})
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: real.Access().Addrs, Dialer: real.Connect})
	b.Cleanup(func() { rdb.Close() })
	value := strings.Repeat("x", 512)
	measure("SET", "set", func() error {
		return rdb.Set(b.Context(), fmt.Sprintf("{%d}:plain", rand.N(1000)), value, time.Hour).Err()
	})
	for kind, some := range refs {
		measure(kind, "evalsha", func() error {
			_, err := store.Replace(b.Context(), async(), some[rand.N(len(some))], content, session.TTL{}, session.Write{})
			return err
		})
	}
}
