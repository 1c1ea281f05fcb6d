package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// One node of six gets another password: it is ill, and says why. Reads of its shard go to its replica, writes wait until it
// accepts the old one again.
func TestANodeThatRefusesOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	c := clientOf(t, real, 0)
	key := keyOf(1, "refused")
	if got := write(t, c, key, "v", cluster.Replicated, 5*time.Second); got.err != nil {
		t.Fatal(got.err)
	}
	node := raw(t, real, "redis-1").Conn() // stays authenticated
	defer node.Close()
	must := func(args ...any) {
		t.Helper()
		if err := node.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	user, password := real.Access().Username, real.Access().Password
	must("ACL", "SETUSER", user, "resetpass", ">another")
	must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	polltest.Eventually(t, "the node is down, for a reason", func() bool {
		n := see(c, "redis-1")
		return n.Seen == "down" && strings.Contains(n.Failure, "WRONGPASS")
	})
	if n := told(c, watch.NodeFailing); n != 1 {
		t.Errorf("the reason was told %d times", n)
	}
	terms := new(cluster.Terms)
	if v, err := c.Get(within(t, 5*time.Second), terms, key); err != nil || string(v) != "v" || !terms.FromReplica() {
		t.Errorf("a read: %q, %v, from a replica %t", v, err, terms.FromReplica())
	}
	waiting := make(chan written)
	go func() { waiting <- write(t, c, key, "w", cluster.Replicated, 20*time.Second) }()
	polltest.Eventually(t, "the write waits", func() bool { return told(c, watch.WritesStalled) > 0 })
	must("ACL", "SETUSER", user, "resetpass", ">"+password)
	if got := <-waiting; got.err != nil || got.achieved != cluster.Replicated {
		t.Errorf("the write that waited: %q, %v", got.achieved, got.err)
	}
}
