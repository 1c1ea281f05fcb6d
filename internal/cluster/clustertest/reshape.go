package clustertest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What operators do to a cluster, with the commands of Redis.

// Addr returns the ip:port of a node, as the cluster announces it.
func (r *Real) Addr(t testing.TB, name string) string {
	t.Helper()
	return r.node(t, name).addr
}

// Name returns the name of the node at an address; empty if there is none.
func (r *Real) Name(addr string) string {
	for _, n := range r.nodes {
		if n.addr == addr {
			return n.name
		}
	}
	return ""
}

// Failover makes a planned failover (CLUSTER FAILOVER): the replica takes its master's place without loss. It returns when
// the replica reports that it is the master.
func (r *Real) Failover(t testing.TB, replica string) {
	t.Helper()
	rdb := r.at(t, replica)
	if err := rdb.ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatalf("%s: CLUSTER FAILOVER: %v", replica, err)
	}
	r.poll(t, replica+" is master", func() bool { return len(r.self(t, replica).ranges) > 0 })
}

// SetNodeTimeout changes how long the nodes wait for a silent one before they call it failed (CONFIG SET
// cluster-node-timeout), on all of them. A node that starts again has the configured 2 s.
func (r *Real) SetNodeTimeout(t testing.TB, d time.Duration) {
	t.Helper()
	for _, n := range r.nodes {
		if err := r.at(t, n.name).ConfigSet(t.Context(), "cluster-node-timeout", strconv.FormatInt(d.Milliseconds(), 10)).Err(); err != nil {
			t.Fatalf("%s: CONFIG SET cluster-node-timeout: %v", n.name, err)
		}
	}
}

// Do runs a command on a node that the production code does not send, such as CONFIG SET or ACL SETUSER.
func (r *Real) Do(t testing.TB, name string, command ...any) {
	t.Helper()
	if err := r.at(t, name).Do(t.Context(), command...).Err(); err != nil {
		t.Fatalf("%s: %v: %v", name, command, err)
	}
}

// SetMaxMemory limits every node's memory (CONFIG SET maxmemory), in bytes; 1 makes every write fail that needs memory.
// The former limit returns at the end of the test, or when the returned function is called. A node that starts again has
// the configured limit.
func (r *Real) SetMaxMemory(t testing.TB, bytes int64) (restore func()) {
	t.Helper()
	before, err := r.at(t, r.nodes[0].name).ConfigGet(t.Context(), "maxmemory").Result()
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, value string) {
		for _, n := range r.nodes {
			rdb := r.single(n)
			if err := rdb.ConfigSet(ctx, "maxmemory", value).Err(); err != nil && ctx == t.Context() {
				t.Errorf("%s: CONFIG SET maxmemory: %v", n.name, err)
			}
			rdb.Close()
		}
	}
	restore = func() { set(context.Background(), before["maxmemory"]) }
	t.Cleanup(restore)
	set(t.Context(), strconv.FormatInt(bytes, 10))
	return restore
}

// single is a client of one node.
func (r *Real) single(n *node) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: n.addr, Dialer: r.Connect, DialTimeout: time.Second, ReadTimeout: 5 * time.Second, MaxRetries: -1})
}

// at is a client of one node that is closed with the test.
func (r *Real) at(t testing.TB, name string) *redis.Client {
	t.Helper()
	rdb := r.single(r.node(t, name))
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// A self is what a node reports about itself (CLUSTER NODES).
type self struct {
	id     string
	ranges []string // of slots, without those that are being moved; empty for a replica
}

func parseSelf(nodes string) self {
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) >= 8 && strings.Contains(f[2], "myself") {
			return self{f[0], slices.DeleteFunc(f[8:], func(r string) bool { return strings.HasPrefix(r, "[") })}
		}
	}
	return self{}
}

func (s self) slots() []int {
	var slots []int
	for _, r := range s.ranges {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		a, _ := strconv.Atoi(first)
		b, _ := strconv.Atoi(last)
		for ; a <= b; a++ {
			slots = append(slots, a)
		}
	}
	return slots
}

// self asks a node, which must answer.
func (r *Real) self(t testing.TB, name string) self {
	t.Helper()
	rdb := r.single(r.node(t, name))
	defer rdb.Close()
	text, err := rdb.ClusterNodes(t.Context()).Result()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return parseSelf(text)
}

// poll waits until the condition holds. It fails the test if that takes more than a minute.
func (r *Real) poll(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
