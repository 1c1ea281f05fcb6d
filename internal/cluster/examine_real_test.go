package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// examining makes a client of the cluster that examines it often.
func examining(t *testing.T, real *clustertest.Real, user string, metrics prometheus.Registerer) *cluster.Client {
	t.Helper()
	cfg := real.Config()
	cfg.Examine, cfg.Deadline, cfg.FailoverAssist, cfg.Metrics = 100*time.Millisecond, 8*time.Second, 500*time.Millisecond, metrics
	if user != "" {
		cfg.Username, cfg.Password = user, "secret"
	}
	c := cluster.New(cfg)
	t.Cleanup(func() { c.Close() })
	polltest.Eventually(t, "the nodes are examined", func() bool { return !c.Snapshot().Examined.IsZero() })
	return c
}

// findings are those of a check, as "severity node".
func findings(c *cluster.Client, check string) []string {
	found := []string{}
	for _, f := range c.Snapshot().Findings {
		if f.Check == check {
			found = append(found, string(f.Severity)+" "+f.Node)
		}
	}
	return found
}

// A node that is made to evict shows within one examination, and so does the end of it. Each is told once.
func TestExaminationOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	metrics := prometheus.NewRegistry()
	c := examining(t, real, "", metrics)
	polltest.Eventually(t, "every promise holds", func() bool { return len(c.Snapshot().Findings) == 0 })
	counted := func() float64 {
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == "sessiond_cluster_findings" && m.Label[0].GetValue() == "eviction" && m.Label[1].GetValue() == "breaks" {
					return m.Gauge.GetValue()
				}
			}
		}
		return -1
	}
	if got := counted(); got != 0 {
		t.Errorf("the metric is %v", got)
	}
	real.Do(t, "redis-5", "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	polltest.Eventually(t, "it shows", func() bool { return slices.Equal(findings(c, "eviction"), []string{"breaks redis-5.vm1"}) })
	if got := counted(); got != 1 {
		t.Errorf("the metric is %v", got)
	}
	real.Do(t, "redis-5", "CONFIG", "SET", "maxmemory-policy", "noeviction")
	polltest.Eventually(t, "it is gone", func() bool { return len(findings(c, "eviction")) == 0 && told(c, watch.FindingGone) > 0 })
	if broken, gone := told(c, watch.PromiseBroken), told(c, watch.FindingGone); broken != 1 || gone != 1 {
		t.Errorf("told %d times that a promise is broken, and %d times that it holds again", broken, gone)
	}
	if problems, err := testutil.GatherAndLint(metrics, "sessiond_cluster_findings"); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// What a user lacks is said, and everything else works: writes are replicated, and reads go to the master.
func TestDeniedCommandsOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	for _, a := range []struct {
		user  string
		rules []any
		want  string   // the worst that is found of the permissions; empty for nothing
		lacks []string // commands that the findings name
	}{
		{"all", []any{"+@all"}, "", nil},
		{"cautious", []any{"+@all", "-@dangerous"}, "breaks", []string{"INFO", "ROLE", "CLUSTER|FAILOVER"}},
		{"noreadonly", []any{"+@all", "-readonly"}, "breaks", []string{"READONLY"}},
		{"norole", []any{"+@all", "-role"}, "weakens", []string{"ROLE"}},
		{"noconfig", []any{"+@all", "-config"}, "", nil},
	} {
		for i := range real.Size() {
			real.Do(t, fmt.Sprintf("redis-%d", i+1), append([]any{"ACL", "SETUSER", a.user, "reset", "on", ">secret", "~*", "&*"}, a.rules...)...)
		}
		c := examining(t, real, a.user, nil)
		worst, named := "", ""
		for _, f := range c.Snapshot().Findings {
			if f.Check != "permissions" {
				continue
			}
			named += " " + f.Found
			if worst == "" || f.Severity == doctor.Breaks {
				worst = string(f.Severity)
			}
		}
		if worst != a.want {
			t.Errorf("%s: got %q, want %q: %+v", a.user, worst, a.want, c.Snapshot().Findings)
		}
		for _, command := range a.lacks {
			if strings.Count(named, command) != real.Size() {
				t.Errorf("%s: %s is not named for each node: %s", a.user, command, named)
			}
		}
		if replica := see(c, "redis-4"); slices.Contains(replica.Lacks, doctor.ReplicaReads) != (a.user == "noreadonly") {
			t.Errorf("%s: lacks %v on a replica", a.user, replica.Lacks)
		}
		for shard := 1; shard <= 3; shard++ {
			key := keyOf(shard, a.user)
			if got := write(t, c, key, "v", cluster.Replicated, 5*time.Second); got.err != nil || got.achieved != cluster.Replicated {
				t.Errorf("%s: a write to shard %d: %q, %v", a.user, shard, got.achieved, got.err)
			}
			if v, err := c.Get(within(t, 2*time.Second), new(cluster.Terms), key); err != nil || string(v) != "v" {
				t.Errorf("%s: a read of shard %d: %q, %v", a.user, shard, v, err)
			}
		}
	}
}
