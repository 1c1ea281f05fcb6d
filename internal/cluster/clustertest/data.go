package clustertest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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
func (r *Real) Calls(t testing.TB, command string) int64 {
	t.Helper()
	calls, _ := r.Spent(t, command)
	return calls
}

// Spent also returns for how long a command has kept the masters' threads, by their clocks.
func (r *Real) Spent(t testing.TB, command string) (calls int64, spent time.Duration) {
	t.Helper()
	rdb := r.raw()
	defer rdb.Close()
	var mu sync.Mutex
	err := rdb.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		stats, err := master.InfoMap(ctx, "commandstats").Result()
		if err != nil {
			return err
		}
		var n, micros int64
		fmt.Sscanf(stats["Commandstats"]["cmdstat_"+command], "calls=%d,usec=%d", &n, &micros) // a command that was never called is not listed
		mu.Lock()
		defer mu.Unlock()
		calls, spent = calls+n, spent+time.Duration(micros)*time.Microsecond
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls, spent
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
func (r *Real) CPU(t testing.TB) time.Duration {
	t.Helper()
	var seconds float64
	for _, n := range r.nodes {
		cpu := r.info(t, n, "CPU")
		seconds += cpu("used_cpu_sys") + cpu("used_cpu_user")
	}
	return time.Duration(seconds * float64(time.Second))
}

// Memory returns how much memory the masters that the cluster was formed with use for all that they hold, in bytes: what is theirs
// but buffers (INFO memory).
func (r *Real) Memory(t testing.TB) (bytes int64) {
	t.Helper()
	for _, n := range r.nodes[:len(masters)] {
		memory := r.info(t, n, "Memory")
		bytes += int64(memory("used_memory"))
		for _, buffers := range []string{"mem_clients_normal", "mem_clients_slaves", "mem_total_replication_buffers", "mem_aof_buffer", "mem_cluster_links"} {
			bytes -= int64(memory(buffers))
		}
	}
	return bytes
}

// Commands returns how many commands all nodes have executed so far, those of the replication included (INFO stats).
func (r *Real) Commands(t testing.TB) (n int64) {
	t.Helper()
	for _, node := range r.nodes {
		n += int64(r.info(t, node, "Stats")("total_commands_processed"))
	}
	return n
}

// AtRest reports whether no node writes its log anew or a snapshot (INFO persistence).
func (r *Real) AtRest(t testing.TB) bool {
	t.Helper()
	var busy float64
	for _, n := range r.nodes {
		persistence := r.info(t, n, "Persistence")
		for _, field := range []string{"aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress"} {
			busy += persistence(field)
		}
	}
	return busy == 0
}

// info asks a node for a section of INFO, and returns what reads a number in it.
func (r *Real) info(t testing.TB, n *node, section string) func(field string) float64 {
	t.Helper()
	rdb := r.single(n)
	defer rdb.Close() // and not with the test: it may ask a thousand times
	all, err := rdb.InfoMap(t.Context(), strings.ToLower(section)).Result()
	if err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	return func(field string) float64 {
		t.Helper()
		number, err := strconv.ParseFloat(all[section][field], 64)
		if err != nil {
			t.Fatalf("%s: %s: %v", n.name, field, err)
		}
		return number
	}
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
