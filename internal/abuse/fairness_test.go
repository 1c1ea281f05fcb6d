package abuse

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The neighbour's load: a fixed rate, so that a slow answer delays no other request.
const (
	neighbourRate = 100 // requests per second
	measureTime   = 5 * time.Second
)

// latencies are of one caller's requests, in ascending order.
type latencies []time.Duration

func (l latencies) at(quantile float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[int(quantile*float64(len(l)-1))].Round(10 * time.Microsecond)
}

// latencies measures a neighbour's requests for a while, reads and writes in turn. A request that fails counts as one that took
// forever.
func (i *instance) latencies(tenant, id string) latencies {
	var mu sync.Mutex
	var all latencies
	var running sync.WaitGroup
	tick := time.NewTicker(time.Second / neighbourRate)
	defer tick.Stop()
	for n := range int(measureTime.Seconds() * neighbourRate) {
		due := <-tick.C
		running.Go(func() {
			method, body, want := http.MethodGet, "", http.StatusOK
			if n%2 == 0 {
				method, body = http.MethodPut, `{"data":1}`
			}
			status, _ := send(i.t.Context(), impatient, tenant, method, i.url+"/v1/sessions/"+id, body)
			took := time.Since(due)
			if status != want {
				took = time.Hour
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took)
		})
	}
	running.Wait()
	slices.Sort(all)
	return all
}

// compare measures a neighbour alone, and beside a greedy tenant.
func (i *instance) compare(callers int) (alone, beside latencies, rate float64) {
	i.t.Helper()
	id := i.create("neighbour", 100)
	alone = i.latencies("neighbour", id)
	const during = measureTime + 2*time.Second
	greedy := load{Tenant: "greedy", Method: http.MethodPost, URL: i.url + "/v1/sessions", Callers: callers, Time: during}
	greedy.Body = `{"data":"` + strings.Repeat("x", 500) + `","max_ttl":"1m","idle_ttl":"1m"}`
	wait := greedy.start(i.t)
	beside = i.latencies("neighbour", id)
	return alone, beside, float64(wait()[http.StatusCreated]) / during.Seconds()
}

// fair is how long the neighbour's p99 may be beside a greedy tenant: 20 % or 5 ms more than alone, whichever is more.
func fair(alone latencies) time.Duration {
	p99 := alone.at(0.99)
	return max(p99+p99/5, p99+5*time.Millisecond)
}

// greedyTenant sends ten times what the neighbour sends, and more.
func greedyTenant(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes, "--max-connections-per-address=350")
	i.ready()
	alone, beside, rate := i.compare(200)
	return verdict{
		"a tenant with 200 connections of POSTs", "p99 from 8 ms to 1 s", fmt.Sprintf("p99 of a neighbour from %s to %s (%.0f/s beside it)", alone.at(0.99), beside.at(0.99), rate),
		fair(alone).String(), beside.at(0.99) <= fair(alone),
	}
}

// TestFairness prints what a tenant with more and more connections costs another.
func TestFairness(t *testing.T) {
	if !*fairness {
		t.Skip("no figures asked for: make fairness")
	}
	i := startInstance(t, redisNodes(t), "--max-connections-per-address=350")
	i.ready()
	for _, callers := range []int{10, 50, 100, 300} {
		alone, beside, rate := i.compare(callers)
		fmt.Printf("%4d connections of the greedy tenant, %.0f writes/s: the neighbour's p50 %s, alone %s; p99 %s, alone %s; bound %s\n",
			callers, rate, beside.at(0.5), alone.at(0.5), beside.at(0.99), alone.at(0.99), fair(alone))
	}
}
