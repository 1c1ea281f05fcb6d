package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// The same specification as on the embedded Redis, on three masters and three replicas.
func TestStoreOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	store, second := newStore(t, real.Client(t), time.Now), newStore(t, real.Client(t), time.Now)
	sessiontest.TestStore(t, func(t *testing.T) sessiontest.Env {
		return sessiontest.Env{
			Store:   store,
			Second:  second,
			Advance: func(t *testing.T, d time.Duration) { real.WaitFor(t, d) },
		}
	})
}

// The memory budget: a session takes at most 150 bytes more than a plain SET of its payload, its share of the index
// included. The index is shared by all users of a tag; here one user stands for them.
func TestMemoryBudgetOnRealCluster(t *testing.T) {
	const sessions, budget = 20, 150
	real := clustertest.Shared(t)
	store, tenant := newStore(t, real.Client(t), time.Now), sessiontest.Tenant(t, "memory")
	user := "user@example.com"
	payload := `"` + strings.Repeat("x", 300) + `"`
	var tag string
	var total int64
	for range sessions {
		ref := tenant.NewRef(user)
		n := session.New{User: user, Content: session.Content{Data: jsontext.Value(payload)}}
		if _, err := store.Create(t.Context(), nil, ref, n, ""); err != nil {
			t.Fatal(err)
		}
		tag = ref.Handle.String()[:3]
		total += real.MemoryUsage(t, "{"+tag+"}:s:memory:"+ref.Handle.String()[3:])
	}
	index := real.MemoryUsage(t, "{"+tag+"}:u:memory")
	plainKey := "{" + tag + "}:s:memory:" + strings.Repeat("p", 22)
	real.Set(t, plainKey, user+payload, time.Hour)
	plain := real.MemoryUsage(t, plainKey)
	overhead := (total+index)/sessions - plain
	t.Logf("a plain value takes %d bytes, a session %d, its share of the index %d: %d more", plain, total/sessions, index/sessions, overhead)
	if overhead > budget {
		t.Errorf("a session takes %d bytes more than its payload, the budget is %d", overhead, budget)
	}
}

// A script holds its shard while it runs. So what one call does must not grow with the sessions of a user: its commands are
// counted here, by the headers of records that it reads.
func TestWorkOfOneCallOnRealCluster(t *testing.T) {
	const most = 1000 // sessions of a user, the largest limit
	real := clustertest.Shared(t)
	store := newStore(t, real.Client(t), time.Now)
	policy := sessiontest.Policy
	policy.MaxPerUser, policy.EvictOldest = most, true
	tenant, err := session.NewTenant("work", policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	create := func(n int) {
		for range n {
			if _, err := store.Create(t.Context(), nil, tenant.NewRef("user"), session.New{User: "user"}, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	create(most + 1) // the last one looks at all
	read := real.Calls(t, "getrange")
	create(10)
	if n := (real.Calls(t, "getrange") - read) / 10; n > 20 {
		t.Errorf("a create at the limit of %d sessions reads %d times", most, n)
	}

	read, scripts := real.Calls(t, "getrange"), real.Calls(t, "evalsha")
	if n, err := store.RevokeUser(t.Context(), nil, tenant, "user", session.Handle{}); err != nil || n != most {
		t.Fatalf("revoked %d: %v", n, err)
	}
	read, scripts = real.Calls(t, "getrange")-read, real.Calls(t, "evalsha")-scripts
	t.Logf("revoking %d sessions took %d scripts, which read %d times", most, scripts, read)
	if scripts < most/100 || read > 3*most {
		t.Errorf("%d scripts read %d times", scripts, read)
	}
}

// The census looks at no key of others who share the cluster: the service's user may not, and the test fails if it is denied anything.
func TestCensusLeavesOthersAloneOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	store := newStore(t, real.Client(t), time.Now)
	for i := range 100 {
		real.Set(t, fmt.Sprintf("foreign:%d", i), "x", time.Minute)
	}
	session.CountNow(store)
}
