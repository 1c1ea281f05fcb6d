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

// The connections of the greedy tenant. With those of its share it keeps the instance busy already.
const (
	itsShare = 10
	tenTimes = 10 * itsShare
)

// beside measures a neighbour beside so many connections of a greedy tenant, which writes as fast as it can, and that tenant's
// writes per second.
func (i *instance) beside(callers int, id string) (latencies, float64) {
	i.t.Helper()
	const during = measureTime + 2*time.Second
	greedy := load{Tenant: "greedy", Method: http.MethodPost, URL: i.url + "/v1/sessions", Callers: callers, Time: during}
	greedy.Body = `{"data":"` + strings.Repeat("x", 500) + `","max_ttl":"1m","idle_ttl":"1m"}`
	wait := greedy.start(i.t)
	measured := i.latencies("neighbour", id)
	return measured, float64(wait()[http.StatusCreated]) / during.Seconds()
}

// fair is how long the neighbour's p99 may be if the greedy tenant takes ten times its share: 20 % or 5 ms longer than if it takes
// its share, whichever is more.
func fair(share latencies) time.Duration {
	p99 := share.at(0.99)
	return max(p99+p99/5, p99+5*time.Millisecond)
}

// greedyTenant goes from its share to ten times that.
func greedyTenant(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes)
	i.ready()
	id := i.create("neighbour", 100)
	alone := i.latencies("neighbour", id)
	share, rate := i.beside(itsShare, id)
	more, moreRate := i.beside(tenTimes, id)
	return verdict{
		"a tenant at ten times its share", "p99 from 8 ms to 1 s",
		fmt.Sprintf("p99 of a neighbour from %s to %s (%.0f and %.0f writes/s; alone %s)", share.at(0.99), more.at(0.99), rate, moreRate, alone.at(0.99)),
		fair(share).String(), more.at(0.99) <= fair(share),
	}
}

// TestFairness prints what a tenant with more and more connections costs another.
func TestFairness(t *testing.T) {
	if !*fairness {
		t.Skip("no figures asked for: make fairness")
	}
	i := startInstance(t, redisNodes(t), "--max-connections-per-address=220")
	i.ready()
	id := i.create("neighbour", 100)
	alone := i.latencies("neighbour", id)
	fmt.Printf("the neighbour alone: p50 %s, p99 %s\n", alone.at(0.5), alone.at(0.99))
	for _, callers := range []int{itsShare, tenTimes / 2, tenTimes, 2 * tenTimes} {
		measured, rate := i.beside(callers, id)
		fmt.Printf("beside %3d connections of a greedy tenant, which writes %.0f/s: p50 %s, p99 %s\n", callers, rate, measured.at(0.5), measured.at(0.99))
	}
}
