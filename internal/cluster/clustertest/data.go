package clustertest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What tests ask and change of a cluster's data and clocks.

// WaitFor returns when d has passed by the clock of every master, plus the millisecond by which Redis rounds.
func (r *Real) WaitFor(t testing.TB, d time.Duration) {
	t.Helper()
	rdb := r.raw()
	defer rdb.Close()
	err := rdb.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		start, err := master.Time(ctx).Result()
		for now := start; err == nil && now.Sub(start) <= d+time.Millisecond; <-tick.C {
			now, err = master.Time(ctx).Result()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// raw is a client for commands that the production code does not send.
func (r *Real) raw() *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: r.Access().Addrs, Dialer: r.Connect})
}

// MemoryUsage returns how many bytes of its node's memory a key takes, counting all of its elements (MEMORY USAGE).
func (r *Real) MemoryUsage(t testing.TB, key string) int64 {
	t.Helper()
	rdb := r.raw()
	defer rdb.Close()
	n, err := rdb.MemoryUsage(t.Context(), key, 0).Result()
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// Calls returns how often the masters have executed a command, by clients and scripts (INFO commandstats).
func (r *Real) Calls(t testing.TB, command string) (calls int64) {
	t.Helper()
	rdb := r.raw()
	defer rdb.Close()
	var mu sync.Mutex
	err := rdb.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		stats, err := master.InfoMap(ctx, "commandstats").Result()
		if err != nil {
			return err
		}
		var n int64
		fmt.Sscanf(stats["Commandstats"]["cmdstat_"+command], "calls=%d", &n) // a command that was never called is not listed
		mu.Lock()
		defer mu.Unlock()
		calls += n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// Keys returns how many keys the nodes have between them, replicas included (DBSIZE).
func (r *Real) Keys(t testing.TB) (keys int64) {
	t.Helper()
	for _, n := range r.nodes {
		size, err := r.at(t, n.name).DBSize(t.Context()).Result()
		if err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
		keys += size
	}
	return keys
}

// CPU returns the CPU time that all nodes have used so far (INFO cpu).
func (r *Real) CPU(t testing.TB) (used time.Duration) {
	t.Helper()
	for _, n := range r.nodes {
		info, err := r.at(t, n.name).InfoMap(t.Context(), "cpu").Result()
		if err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
		for _, kind := range []string{"used_cpu_sys", "used_cpu_user"} {
			seconds, err := strconv.ParseFloat(info["CPU"][kind], 64)
			if err != nil {
				t.Fatalf("%s: %s: %v", n.name, kind, err)
			}
			used += time.Duration(seconds * float64(time.Second))
		}
	}
	return used
}

// Set stores a string that expires (SET EX).
func (r *Real) Set(t testing.TB, key, value string, ttl time.Duration) {
	t.Helper()
	rdb := r.raw()
	defer rdb.Close()
	if err := rdb.Set(t.Context(), key, value, ttl).Err(); err != nil {
		t.Fatal(err)
	}
}
