package clustertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Poller is a witness of failovers that shares nothing with the product: every 20 ms it asks each node, on a connection
// of its own, what it reports about itself (CLUSTER NODES), and keeps every answer.
type Poller struct {
	nodes []string // names
	stop  func()

	mu      sync.Mutex
	answers []answer // in order of arrival; guarded by mu
}

// An answer is what one node reported about itself.
type answer struct {
	node     string
	asked    time.Time // when the question was sent
	answered time.Time
	ranges   string // of the slots that it owns as a master
}

// pollEvery is the time between two questions to a node, and pollTimeout how long a silent node delays the next one.
const (
	pollEvery   = 20 * time.Millisecond
	pollTimeout = 100 * time.Millisecond
)

// Poll starts a Poller of the named nodes, or of all, that ends with the test if it is not stopped before. It needs the
// nodes' addresses to be reachable from where it runs, so a cut between Host and a node blinds it to that node.
func (r *Real) Poll(t testing.TB, names ...string) *Poller {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	p := &Poller{stop: func() {
		stop()
		wg.Wait()
	}}
	for _, n := range r.nodes {
		if len(names) > 0 && !slices.Contains(names, n.name) {
			continue
		}
		p.nodes = append(p.nodes, n.name)
		wg.Go(func() {
			rdb := redis.NewClient(&redis.Options{
				Addr: n.addr, Dialer: r.Connect, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
				DialTimeout: pollTimeout, ReadTimeout: pollTimeout, WriteTimeout: pollTimeout, Protocol: 2,
			})
			defer rdb.Close()
			p.watch(ctx, n.name, rdb)
		})
	}
	t.Cleanup(p.Stop)
	return p
}

// Stop ends the polling. The answers are kept.
func (p *Poller) Stop() { p.stop() }

func (p *Poller) watch(ctx context.Context, node string, rdb *redis.Client) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		a := answer{node: node, asked: time.Now()}
		if text, err := rdb.ClusterNodes(ctx).Result(); err == nil {
			a.ranges = strings.Join(parseSelf(text).ranges, " ")
			p.mu.Lock()
			a.answered = time.Now()
			p.answers = append(p.answers, a)
			p.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// since returns the answers to questions that were sent after a moment. A long drill keeps many from before.
func (p *Poller) since(moment time.Time) []answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, _ := slices.BinarySearchFunc(p.answers, moment, func(a answer, m time.Time) int { return a.answered.Compare(m) })
	return slices.DeleteFunc(slices.Clone(p.answers[first:]), func(a answer) bool { return a.asked.Before(moment) })
}

// Promoted waits until a node, asked after a moment, reports that it is a master with slots. It returns when it first did,
// accurate to about 20 ms. It fails the test if that does not happen within a minute.
func (p *Poller) Promoted(t testing.TB, name string, after time.Time) time.Time {
	t.Helper()
	if !slices.Contains(p.nodes, name) {
		t.Fatalf("there is no node %s", name)
	}
	return p.wait(t, name+" is promoted", func() (time.Time, bool) {
		for _, a := range p.since(after) {
			if a.node == name && a.ranges != "" {
				return a.answered, true
			}
		}
		return time.Time{}, false
	})
}

// Covered waits until the nodes that answer after a moment own all slots between them, each by its own report, and returns
// when they first did. Pass the moment when the fault was complete: the report of a node that dies later counts too.
func (p *Poller) Covered(t testing.TB, after time.Time) time.Time {
	t.Helper()
	return p.wait(t, "all slots are covered", func() (time.Time, bool) {
		owned := map[string]string{}
		for _, a := range p.since(after) {
			if before, known := owned[a.node]; known && before == a.ranges {
				continue
			}
			owned[a.node] = a.ranges
			if complete(owned) {
				return a.answered, true
			}
		}
		return time.Time{}, false
	})
}

func complete(owned map[string]string) bool {
	var covered [view.Slots]bool
	count := 0
	for _, ranges := range owned {
		for _, slot := range (self{ranges: strings.Fields(ranges)}).slots() {
			if !covered[slot] {
				covered[slot] = true
				count++
			}
		}
	}
	return count == len(covered)
}

func (p *Poller) wait(t testing.TB, what string, find func() (time.Time, bool)) time.Time {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		if at, found := find(); found {
			return at
		}
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
