package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// putSource sets a key and returns the value. It writes again if it runs again.
const putSource = `redis.call('SET', KEYS[1], ARGV[1], 'PX', 600000) return {ARGV[1]}`

func put() *cluster.Script { return cluster.NewScript(putSource) }

// ready waits until the client has seen the cluster.
func ready(t *testing.T, c *cluster.Client) *cluster.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAnswersOfAnEmbeddedNode(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	c := ready(t, e.Client(t, cluster.Config{}))
	if _, err := c.Get(t.Context(), nil, "absent"); !errors.Is(err, cluster.ErrNil) {
		t.Errorf("an absent key: %v", err)
	}
	terms := new(cluster.Terms)
	if got, err := c.Run(t.Context(), terms, put(), []string{"a"}, "long value"); err != nil || !slices.Equal(got, []string{"long value"}) {
		t.Fatalf("got %v, %v", got, err)
	}
	if terms.Achieved() != cluster.Single {
		t.Errorf("a node without a replica achieved %q", terms.Achieved())
	}
	for i, v := range c.GetMany(t.Context(), nil, []string{"x", "a", "y"}) {
		if i == 1 && string(v.Bytes) != "long value" || i != 1 && !errors.Is(v.Err, cluster.ErrNil) {
			t.Errorf("%d: got %q, %v", i, v.Bytes, v.Err)
		}
	}
	for i, v := range c.Heads(t.Context(), nil, []string{"a", "x"}, 4) {
		if want := []string{"long", ""}[i]; v.Err != nil || string(v.Bytes) != want {
			t.Errorf("%d: got %q, %v", i, v.Bytes, v.Err)
		}
	}
	strict := &cluster.Terms{Durability: cluster.Strict}
	if _, err := c.Run(t.Context(), strict, put(), []string{"strict"}, 1); !errors.Is(err, cluster.ErrUnavailable) || e.Exists("strict") {
		t.Errorf("a strict write without a replica: %v, applied %t", err, e.Exists("strict"))
	}
	broken := cluster.NewScript(`return redis.call('LPUSH', KEYS[1], 1)`)
	if _, err := c.Run(t.Context(), nil, broken, []string{"a"}); err == nil || errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("a defect in a script: %v", err)
	}
}

func TestRecoversWhenTheConnectionBreaks(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	reads, writes := &clustertest.Lossy{Match: []byte("get")}, &clustertest.Lossy{Match: []byte("evalsha")}
	reads.Base = writes.Dial
	c := ready(t, e.Client(t, cluster.Config{Access: peer.Access{Dial: reads.Dial}}))
	for i, asked := range []cluster.Durability{cluster.Replicated, cluster.Async} {
		ctx, terms := within(t, 10*time.Second), &cluster.Terms{Durability: asked}
		writes.LoseNext(1)
		if got, err := c.Run(ctx, terms, put(), []string{"k"}, i); err != nil || got[0] != fmt.Sprint(i) || !writes.Lost() {
			t.Errorf("a write: got %v, %v, lost %t", got, err, writes.Lost())
		}
		reads.LoseNext(1)
		if got, err := c.Get(ctx, terms, "k"); err != nil || string(got) != fmt.Sprint(i) || !reads.Lost() {
			t.Errorf("a read: got %q, %v, lost %t", got, err, reads.Lost())
		}
	}
}

func TestOverloadedWhileNoMasterIsThere(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	c := ready(t, e.Client(t, cluster.Config{MaxWrites: 3}))
	e.Close()
	errs := make(chan error, 4)
	for i := range 3 {
		go func() {
			_, err := c.Run(within(t, 20*time.Second), nil, put(), []string{fmt.Sprint("waits", i)}, 1)
			errs <- err
		}()
	}
	polltest.Eventually(t, "three writes wait", func() bool { return c.Snapshot().Shards[0].Writes == 3 })
	if _, err := c.Run(within(t, 20*time.Second), nil, put(), []string{"refused"}, 1); !errors.Is(err, cluster.ErrOverloaded) || !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("the fourth: %v", err)
	}
	var waits atomic.Int64
	go func() {
		other := &cluster.Terms{Owner: "other", Waits: func() { waits.Add(1) }}
		_, err := c.Run(within(t, 20*time.Second), other, put(), []string{"other"}, 1)
		errs <- err
	}()
	polltest.Eventually(t, "a write of another owner waits, and its caller is told", func() bool {
		return c.Snapshot().Shards[0].Writes == 4 && waits.Load() > 0
	})
	polltest.Eventually(t, "the stall is told", func() bool { return told(c, watch.WritesStalled) == 1 })
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Errorf("one that waited: %v", err)
		}
	}
	if e.Exists("refused") || !e.Exists("waits0") || c.Snapshot().Shards[0].Writes != 0 {
		t.Errorf("the node holds %v, %d writes are under way", e.Keys(), c.Snapshot().Shards[0].Writes)
	}
	if _, err := c.Run(t.Context(), nil, put(), []string{"after"}, 1); err != nil {
		t.Errorf("after that: %v", err)
	}
	// On a slow machine the node may become suspect once more while the three are let through.
	if stalls, ends := told(c, watch.WritesStalled), told(c, watch.WritesResumed); stalls == 0 || ends != stalls {
		t.Errorf("%d stalls were told, and the end of %d", stalls, ends)
	}
}

// told counts the events of a type.
func told(c *cluster.Client, what watch.EventType) int {
	events, _ := c.Events().Since(0)
	n := 0
	for _, ev := range events {
		if ev.Type == what {
			n++
		}
	}
	return n
}

func TestDeadlineWithoutDoubt(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	c := ready(t, e.Client(t, cluster.Config{}))
	e.Close()
	polltest.Eventually(t, "the node is not well", func() bool { return c.Snapshot().Nodes[0].Seen != "well" })
	if _, err := c.Run(within(t, 100*time.Millisecond), nil, put(), []string{"k"}, 1); !errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("a write: %v", err)
	}
	if _, err := c.Get(within(t, 100*time.Millisecond), nil, "k"); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a read: %v", err)
	}
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	polltest.Eventually(t, "the node is well", func() bool { return c.Snapshot().Nodes[0].Seen == "well" })
	if e.Exists("k") {
		t.Error("a write that was refused as never applied was applied")
	}
	never := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{"127.0.0.1:1"}}})
	defer never.Close()
	if _, err := never.Run(within(t, 50*time.Millisecond), nil, put(), []string{"k"}, 1); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a cluster that was never seen: %v", err)
	}
	if _, err := never.Ready(within(t, 50*time.Millisecond)); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a cluster that was never seen is ready: %v", err)
	}
}

func TestDeadlineInDoubt(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	registry := prometheus.NewRegistry()
	c := ready(t, e.Client(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}, Metrics: registry}))
	if _, err := c.Run(t.Context(), nil, put(), []string{"k"}, 1); err != nil {
		t.Fatal(err)
	}
	lossy.LoseNext(1 << 20)
	if _, err := c.Run(within(t, 300*time.Millisecond), nil, put(), []string{"k"}, 2); !errors.Is(err, cluster.ErrOutcomeUnknown) || errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("all answers were lost: %v", err)
	}
	if got, _ := e.Get("k"); got != "2" {
		t.Errorf("the node holds %q: nothing was in doubt", got)
	}
	// A touch for which nobody waits is sent again later. It must not alert as a write whose caller is left in doubt.
	background := &cluster.Terms{Background: true}
	if _, err := c.Run(within(t, 300*time.Millisecond), background, put(), []string{"k"}, 3); !errors.Is(err, cluster.ErrOutcomeUnknown) {
		t.Errorf("in the background: %v", err)
	}
	const counted = "# HELP sessiond_unknown_outcomes_total Writes that failed with an unknown outcome: they may have been applied. Touches in the background do not count.\n" +
		"# TYPE sessiond_unknown_outcomes_total counter\nsessiond_unknown_outcomes_total 1\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(counted), "sessiond_unknown_outcomes_total"); err != nil {
		t.Error(err)
	}
}

// A refusal after a lost answer says nothing about the first attempt.
func TestRefusedInDoubt(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	c := ready(t, e.Client(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}}))
	if _, err := c.Run(t.Context(), nil, put(), []string{"k"}, 2); err != nil {
		t.Fatal(err)
	}
	lossy.OnLoss = func() { e.SetError("OOM command not allowed when used memory > 'maxmemory'.") }
	lossy.LoseNext(1)
	if _, err := c.Run(within(t, 10*time.Second), nil, put(), []string{"k"}, 3); !errors.Is(err, cluster.ErrOutcomeUnknown) || errors.Is(err, cluster.ErrFull) {
		t.Errorf("refused in doubt: %v", err)
	}
	if _, err := c.Run(within(t, 10*time.Second), nil, put(), []string{"k"}, 4); !errors.Is(err, cluster.ErrFull) {
		t.Errorf("refused without doubt: %v", err)
	}
	e.SetError("")
	if got, _ := e.Get("k"); got != "3" {
		t.Errorf("the node holds %q", got)
	}
}

func TestScriptIsSentWholeOnce(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	c := ready(t, e.Client(t, cluster.Config{}))
	e.Commands()
	for i, want := range []string{"EVALSHA ROLE WAIT ROLE EVAL SET ROLE WAIT ROLE", "EVALSHA SET ROLE WAIT ROLE"} {
		if _, err := c.Run(t.Context(), nil, put(), []string{"k"}, i); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(e.Commands(), " "); got != want {
			t.Errorf("run %d sent %s, want %s", i, got, want)
		}
	}
	async := &cluster.Terms{Durability: cluster.Async}
	if _, err := c.Run(t.Context(), async, put(), []string{"k"}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), async, "k"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(e.Commands(), " "); got != "EVALSHA SET GET" {
		t.Errorf("an async write and a read sent %s", got)
	}
}

// An idle connection that is made in advance receives nothing, and must not make its node suspect.
func TestNoSuspicionInPeace(t *testing.T) {
	c := ready(t, clustertest.StartEmbedded(t).Client(t, cluster.Config{}))
	answered := func() time.Time { return c.Snapshot().Nodes[0].Answered }
	for range 2 {
		first := answered()
		polltest.Eventually(t, "the node is asked again", func() bool { return answered().After(first) })
	}
	if n := told(c, watch.NodeSuspect) + told(c, watch.NodeDown); n > 0 {
		t.Errorf("the node was suspected %d times", n)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	e := clustertest.StartEmbedded(t)
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	c := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{e.Addr()}, Dial: lossy.Dial}, Metrics: registry})
	ready(t, c)
	traffic := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			key := fmt.Sprint("secret-", i)
			for _, d := range []cluster.Durability{cluster.Replicated, cluster.Async} {
				if _, err := c.Run(t.Context(), &cluster.Terms{Durability: d}, put(), []string{key}, key); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Get(t.Context(), nil, key); err != nil {
				t.Fatal(err)
			}
			_, _ = c.Get(t.Context(), nil, "not-"+key)
			_ = c.Heads(t.Context(), nil, []string{key}, 3)
		}
	}
	lossy.LoseNext(1)
	traffic(0, 3)
	e.SetError("BUSY " + "secret-busy")
	_, _ = c.Get(within(t, 50*time.Millisecond), nil, "secret-busy")
	e.SetError("")
	traffic(3, 6)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	before := series(t, registry, e.Addr())
	traffic(6, 60)
	after := series(t, registry, e.Addr())
	if len(after) > len(before)+2 { // an event or an outcome may come for the first time
		t.Errorf("%d series became %d by more keys", len(before), len(after))
	}
	for _, want := range []string{
		"sessiond_redis_attempts_total{command=evalsha,node=NODE,outcome=ok}", "sessiond_reads_total{source=master}",
		"sessiond_writes_total{durability=single}", "sessiond_writes_total{durability=async}", "sessiond_retries_total{kind=write}",
		"sessiond_batch_size{kind=replicated}", "sessiond_cluster_epoch{}", "sessiond_redis_breaker_open{node=NODE}",
		"sessiond_cluster_slots{state=covered}", "sessiond_writes_in_flight{shard=0}", "sessiond_events_total{type=topology-adopted}",
	} {
		if !after[want] {
			t.Errorf("%s is missing", want)
		}
	}
	for s := range after {
		if strings.Contains(s, "secret") {
			t.Errorf("a key in a label: %s", s)
		}
	}
	c.Close()
	if n, err := testutil.GatherAndCount(registry); n != 0 || err != nil {
		t.Errorf("%d series are left after the end, %v", n, err)
	}
}

// series returns all label sets, with the node's address as NODE.
func series(t *testing.T, registry prometheus.Gatherer, node string) map[string]bool {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+strings.ReplaceAll(l.GetValue(), node, "NODE"))
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = true
		}
	}
	return all
}

func TestCloseLeavesNothing(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	polltest.Eventually(t, "peers of other tests are gone", func() bool { return e.CurrentConnectionCount() == 0 })
	before := runtime.NumGoroutine()
	for range 5 {
		c := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{e.Addr(), "127.0.0.1:1"}}, FailoverAssist: time.Second})
		ready(t, c)
		for i := range 20 {
			if _, err := c.Run(t.Context(), nil, put(), []string{fmt.Sprint(i)}, i); err != nil {
				t.Fatal(err)
			}
		}
		c.GetMany(t.Context(), nil, []string{"1", "2", "3", "4", "5", "6"})
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	polltest.Eventually(t, fmt.Sprintf("%d goroutines and no connections are left, as before", before), func() bool {
		return runtime.NumGoroutine() <= before && e.CurrentConnectionCount() == 0
	})
}
