package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// What the tests on real clusters share. Shard i has its master redis-i on VM i; the replicas are redis-4 on vm3,
// redis-5 on vm1 and redis-6 on vm2, in the order of the shards.

// keyOf makes a key that lies in a shard, counted from 1.
func keyOf(shard int, name string) string {
	for i := 0; ; i++ {
		tag := fmt.Sprint(i)
		if slot := view.Slot(tag); slot*3/view.Slots == shard-1 && slot%5461 > 10 && slot%5461 < 5400 {
			return "{" + tag + "}:s:test:" + name
		}
	}
}

// keyIn makes a key that lies in a slot.
func keyIn(slot int) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("{slot%d}:s:test:", i); view.Slot(key) == slot {
			return key
		}
	}
}

// raw is a client of one node that makes one attempt.
func raw(t *testing.T, real *clustertest.Real, name string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: real.Addr(t, name), Dialer: real.Connect, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, DisableIdentity: true,
	})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// clientOf makes a client that has seen all six nodes well and the replicas in step.
func clientOf(t *testing.T, real *clustertest.Real, assist time.Duration, options ...func(*cluster.Config)) *cluster.Client {
	t.Helper()
	cfg := real.Config()
	cfg.FailoverAssist = assist
	for _, change := range options {
		change(&cfg)
	}
	c := cluster.New(cfg)
	t.Cleanup(func() { c.Close() })
	inStep(t, c)
	return c
}

func inStep(t *testing.T, c *cluster.Client) {
	t.Helper()
	polltest.Eventually(t, "all nodes are well, the replicas in step", func() bool {
		s := c.Snapshot()
		for _, n := range s.Nodes {
			if n.Seen != "well" || n.Health != view.Healthy || !n.Master && !n.InStep {
				return false
			}
		}
		return len(s.Nodes) == 6 && s.SlotsCovered == view.Slots && !s.Unaccounted
	})
}

// see returns how a client sees a node.
func see(c *cluster.Client, name string) watch.NodeSnapshot {
	for _, n := range c.Snapshot().Nodes {
		if strings.HasPrefix(n.Hostname, name+".") {
			return n
		}
	}
	return watch.NodeSnapshot{}
}

// silentFor waits until a node has owed a client an answer for d.
func silentFor(t *testing.T, c *cluster.Client, name string, d time.Duration) {
	t.Helper()
	polltest.Eventually(t, fmt.Sprintf("%s is silent for %s", name, d), func() bool { return see(c, name).Silence >= d })
}

// masterOf returns the name of the master of a slot, according to one node.
func masterOf(t *testing.T, real *clustertest.Real, witness string, slot int) string {
	t.Helper()
	slots, err := raw(t, real, witness).Do(t.Context(), "CLUSTER", "SLOTS").Slice() // each: first, last, [ip, port, ...] of the master, ...
	if err != nil {
		return ""
	}
	for _, s := range slots {
		f := s.([]any)
		if master := f[2].([]any); f[0].(int64) <= int64(slot) && int64(slot) <= f[1].(int64) {
			return real.Name(fmt.Sprintf("%s:%d", master[0], master[1]))
		}
	}
	return ""
}

// restore makes the first master of every shard its master again.
func restore(t *testing.T, real *clustertest.Real) {
	t.Helper()
	c := clientOf(t, real, 0)
	for _, name := range []string{"redis-1", "redis-2", "redis-3"} {
		if !see(c, name).Master {
			real.Failover(t, name)
		}
	}
	polltest.Eventually(t, "all are in their places", func() bool {
		return see(c, "redis-1").Master && see(c, "redis-2").Master && see(c, "redis-3").Master
	})
	inStep(t, c)
}

// A ledger records which writes were acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked []string // keys, each holding itself; guarded by mu
	wg    sync.WaitGroup
	stop  context.CancelFunc
}

// keepWriting writes to a shard until the ledger is checked.
func keepWriting(t *testing.T, c *cluster.Client, shard int, name string) *ledger {
	ctx, stop := context.WithCancel(t.Context())
	l := &ledger{stop: stop}
	for w := range 4 {
		l.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := keyOf(shard, fmt.Sprintf("%s:%d:%d", name, w, i))
				call, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if _, err := c.Run(call, nil, put(), []string{key}, key); err != nil {
					t.Errorf("a write: %v", err)
				} else {
					l.mu.Lock()
					l.acked = append(l.acked, key)
					l.mu.Unlock()
				}
				cancel()
			}
		})
	}
	return l
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// check ends the writing and reads every acknowledged key.
func (l *ledger) check(t *testing.T, c *cluster.Client) {
	t.Helper()
	l.stop()
	l.wg.Wait()
	ctx, terms := within(t, time.Minute), &cluster.Terms{MasterOnly: true}
	lost := 0
	for keys := range slices.Chunk(l.acked, 1000) { // more at once would be too many for the client
		for i, v := range c.GetMany(ctx, terms, keys) {
			switch {
			case v.Err != nil && !errors.Is(v.Err, cluster.ErrNil):
				t.Fatalf("%s cannot be read: %v", keys[i], v.Err)
			case string(v.Bytes) != keys[i]:
				lost++
			}
		}
	}
	if lost > 0 || len(l.acked) == 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acked))
	}
}

// atOnce runs functions concurrently.
func atOnce(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
}

// logsOf logs what the nodes logged about elections and replication, if the test has failed.
func logsOf(t *testing.T, real *clustertest.Real) {
	if !t.Failed() {
		return
	}
	telling := regexp.MustCompile(`(?i)failover|election|replica of|epoch|FAIL state|failing|resync|timed out`)
	for i := range 6 {
		name := fmt.Sprintf("redis-%d", i+1)
		for line := range strings.Lines(real.Log(t, name)) {
			if telling.MatchString(line) {
				t.Logf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
}
