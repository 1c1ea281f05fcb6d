package cluster_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// assistAfter is the limit of a master's silence in these tests. waited is the silence after which they conclude that no
// replica was asked.
const (
	assistAfter = 500 * time.Millisecond
	waited      = 1200 * time.Millisecond
)

// assistantOf makes a client that has seen all nodes well and has watched for long enough to assist.
func assistantOf(t *testing.T, real *clustertest.Real, options ...func(*cluster.Config)) *cluster.Client {
	t.Helper()
	c := clientOf(t, real, assistAfter, options...)
	watched(t, real, c)
	return c
}

// watched waits until the votes of elections from before the client started have expired, including those of restore.
func watched(t *testing.T, real *clustertest.Real, c *cluster.Client) {
	t.Helper()
	polltest.Eventually(t, "the votes of earlier elections have expired", func() bool { return c.VotesExpired(real.Addr(t, "redis-5")) })
}

// asked counts what a client asked of the replica of shard 1, and the promotions of it that the client saw.
func asked(c *cluster.Client) (plain, forced, promoted int) {
	events, _ := c.Events().Since(0)
	for _, ev := range events {
		if ev.Shard != "0" {
			continue
		}
		switch ev.Type {
		case watch.FailoverAsked:
			plain++
		case watch.FailoverForced:
			forced++
		case watch.Promoted:
			promoted++
		}
	}
	return plain, forced, promoted
}

// notAsked asserts that a client has asked no replica to take over.
func notAsked(t *testing.T, c *cluster.Client) {
	t.Helper()
	if n := told(c, watch.FailoverAsked) + told(c, watch.FailoverForced); n > 0 {
		events, _ := c.Events().Since(0)
		t.Errorf("a replica was asked to take over: %+v", events)
	}
}

// Assisted failover, condition by condition, on one cluster. Each test has new clients, because a client remembers what it
// has seen happen to a shard.
func TestAssistOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *clustertest.Real)
	}{
		{"paused for less than the limit", testPausedBriefly},
		{"the replica is out of step", testReplicaBehind},
		{"no majority answers", testNoMajority},
		{"only the service is cut off, twice in a row", testServiceCutOff},
		{"the master is paused, two clients", testMasterPaused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() { logsOf(t, real) })
			c.test(t, real)
		})
		restore(t, real)
	}
}

// testPausedBriefly has a limit of its own: far above what a busy machine takes to pause a VM and to let it go on, and
// below the node timeout, after which Redis would promote the replica by itself.
func testPausedBriefly(t *testing.T, real *clustertest.Real) {
	const limit = 1500 * time.Millisecond
	c := clientOf(t, real, limit)
	watched(t, real, c)
	real.PauseVM(t, "vm1")
	silentFor(t, c, "redis-1", 200*time.Millisecond)
	longest := make(chan time.Duration)
	done := make(chan struct{})
	go func() {
		var most time.Duration
		for {
			select {
			case <-done:
				longest <- most
				return
			default:
				most = max(most, see(c, "redis-1").Silence)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	real.UnpauseVM(t, "vm1")
	inStep(t, c)
	close(done)
	if most := <-longest; most >= limit-20*time.Millisecond {
		t.Fatalf("it took %s to go on, too long for the case", most)
	}
	notAsked(t, c)
	if told(c, watch.NodeSuspect) == 0 {
		t.Error("the pause was not even noticed")
	}
}

// The replica does not have the last writes when its master falls silent. Promoting it would lose them.
func testReplicaBehind(t *testing.T, real *clustertest.Real) {
	c := assistantOf(t, real)
	real.Cut(t, "redis-1", "redis-4")
	key := keyOf(1, "assist-behind")
	if got := write(t, c, key, "v", cluster.Async, 5*time.Second); got.err != nil {
		t.Fatal(got.err)
	}
	polltest.Eventually(t, "the replica is seen behind", func() bool { return !see(c, "redis-4").InStep })
	real.Cut(t, clustertest.Host, "redis-1")
	silentFor(t, c, "redis-1", waited)
	notAsked(t, c)
	if see(c, "redis-4").Seen != "well" || masterOf(t, real, "redis-2", 0) != "redis-1" {
		t.Errorf("redis-4 is %s, the master is %s", see(c, "redis-4").Seen, masterOf(t, real, "redis-2", 0))
	}
	real.Heal(t, clustertest.Host, "redis-1")
	real.Heal(t, "redis-1", "redis-4")
	if got, err := c.Get(within(t, 20*time.Second), nil, key); err != nil || string(got) != "v" {
		t.Errorf("the write that the replica did not have: got %q, %v", got, err)
	}
}

// Two masters of three are silent. They may form a majority with other clients, which we cannot see.
func testNoMajority(t *testing.T, real *clustertest.Real) {
	c := assistantOf(t, real)
	atOnce(
		func() { real.PauseVM(t, "vm2") },
		func() { real.PauseVM(t, "vm1") },
	)
	silentFor(t, c, "redis-1", waited)
	silentFor(t, c, "redis-2", waited)
	notAsked(t, c)
	if s := see(c, "redis-4"); s.Seen != "well" || !s.InStep {
		t.Errorf("something else is missing: redis-4 is %s, in step %t", s.Seen, s.InStep)
	}
	atOnce(
		func() { real.UnpauseVM(t, "vm1") },
		func() { real.UnpauseVM(t, "vm2") },
	)
}

// Only the service cannot reach the healthy master, which hands over and loses nothing. When the new master is cut off too,
// the shard has just moved and is left alone.
func testServiceCutOff(t *testing.T, real *clustertest.Real) {
	c := assistantOf(t, real)
	l := keepWriting(t, c, 1, "cut")
	polltest.Eventually(t, "writes are acknowledged", func() bool { return l.len() > 20 })
	real.Cut(t, clustertest.Host, "redis-1")
	polltest.Eventually(t, "redis-4 is master", func() bool { return masterOf(t, real, "redis-2", 0) == "redis-4" })
	before := l.len()
	polltest.Eventually(t, "writes go on", func() bool { return l.len() > before+20 })
	l.check(t, c)
	if plain, forced, promoted := asked(c); plain != 1 || forced != 0 || promoted != 1 {
		t.Errorf("asked %d times by agreement, %d by force; promoted %d times", plain, forced, promoted)
	}

	real.Heal(t, clustertest.Host, "redis-1")
	inStep(t, c)
	real.Cut(t, clustertest.Host, "redis-4")
	newcomer := newcomer(t, real)
	silentFor(t, c, "redis-4", waited)
	if plain, forced, _ := asked(c); plain != 1 || forced != 0 {
		t.Errorf("the shard that had just moved was asked again: %d, %d", plain, forced)
	}
	if s := see(c, "redis-1"); s.Seen != "well" || !s.InStep || s.Master {
		t.Errorf("something else is missing: redis-1 is %s, in step %t", s.Seen, s.InStep)
	}
	// A client that has never seen the master well does not ask either.
	watched(t, real, newcomer)
	silentFor(t, newcomer, "redis-4", waited)
	notAsked(t, newcomer)
	real.Heal(t, clustertest.Host, "redis-4")
}

// newcomer is a client that was started while a node was cut off.
func newcomer(t *testing.T, real *clustertest.Real) *cluster.Client {
	cfg := real.Config()
	cfg.FailoverAssist = assistAfter
	c := cluster.New(cfg)
	t.Cleanup(func() { c.Close() })
	return ready(t, c)
}

// The master cannot be reached by anyone, so there is no agreement, and the takeover is forced. Two instances that ask at
// once cause one promotion.
func testMasterPaused(t *testing.T, real *clustertest.Real) {
	var permitted permits
	one, two := assistantOf(t, real, permitted.follow), assistantOf(t, real, permitted.follow)
	l := keepWriting(t, one, 1, "paused")
	polltest.Eventually(t, "writes are acknowledged", func() bool { return l.len() > 20 })
	real.PauseVM(t, "vm1")
	for _, c := range []*cluster.Client{one, two} {
		polltest.Eventually(t, "the promotion is seen", func() bool { _, _, n := asked(c); return n > 0 })
	}
	before := l.len()
	polltest.Eventually(t, "writes go on", func() bool { return l.len() > before+20 })
	real.UnpauseVM(t, "vm1")
	inStep(t, one)
	inStep(t, two)
	l.check(t, one)
	plainBy, forcedBy := 0, 0
	for _, c := range []*cluster.Client{one, two} {
		plain, forced, promoted := asked(c)
		plainBy, forcedBy = plainBy+plain, forcedBy+forced
		if plain > 1 || forced > plain || promoted != 1 {
			t.Errorf("asked %d times by agreement, %d by force; saw %d promotions", plain, forced, promoted)
		}
		if told(c, watch.FailoverAsked) != plain {
			t.Error("a shard was asked that has its master")
		}
	}
	if forcedBy == 0 {
		t.Error("nobody forced it: Redis did it alone")
	}
	if plainBy != permitted.of(false) || forcedBy != permitted.of(true) {
		t.Errorf("asked %d times by agreement, %d by force, with permission for %d and %d", plainBy, forcedBy, permitted.of(false), permitted.of(true))
	}
	for _, witness := range []string{"redis-1", "redis-2", "redis-3", "redis-4"} {
		if got := masterOf(t, real, witness, 0); got != "redis-4" {
			t.Errorf("%s says that the master is %s", witness, got)
		}
	}
	// A second promotion would have an epoch of its own.
	epochs := promotionEpochs(one, two)
	if len(epochs) != 1 {
		t.Errorf("promotions were seen at %v", epochs)
	}
}

// permits counts the requests that clients had permission for, and made.
type permits struct {
	mu   sync.Mutex
	made map[watch.Takeover]int // guarded by mu
}

func (p *permits) follow(cfg *cluster.Config) {
	cfg.Permit = func(to watch.Takeover) (func(error), error) {
		return func(err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if err != nil && to.Forced { // refused by the masters, or not called for any more
				return
			}
			if p.made == nil {
				p.made = map[watch.Takeover]int{}
			}
			p.made[to]++
		}, nil
	}
}

// of counts those for the replica of shard 1.
func (p *permits) of(forced bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made[watch.Takeover{Shard: "0", Replica: "redis-4.vm3", Master: "redis-1.vm1", Forced: forced}]
}

// promotionEpochs returns the events of promotions of shard 1 that clients have seen, each once.
func promotionEpochs(clients ...*cluster.Client) []string {
	var texts []string
	for _, c := range clients {
		events, _ := c.Events().Since(0)
		for _, ev := range events {
			if ev.Type == watch.Promoted && ev.Shard == "0" && !slices.Contains(texts, ev.Text) {
				texts = append(texts, ev.Text)
			}
		}
	}
	return texts
}
