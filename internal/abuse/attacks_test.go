package abuse

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	mib        = 1 << 20
	attackTime = 5 * time.Second
)

// manyBatches asks 50 times at once for 500 sessions of 64 KiB.
func manyBatches(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes)
	i.ready()
	ids := make([]string, 500)
	for n := range ids {
		ids[n] = `"` + i.create("greedy", 64000) + `"`
	}
	body := `{"ids":[` + strings.Join(ids, ",") + `]}`
	var callers sync.WaitGroup
	var answered atomic.Int64
	for range 50 {
		callers.Go(func() {
			if status, _ := send(t.Context(), impatient, "greedy", http.MethodPost, i.url+"/v1/sessions:batchGet", body); status == http.StatusOK {
				answered.Add(1)
			}
		})
	}
	callers.Wait()
	peak, alive := i.peakMemory(), i.get("", "/livez") == http.StatusOK
	return verdict{
		"50 batchGets of 500 x 64 KiB", "9.3 GiB", fmt.Sprintf("%d MiB at most, %d answered", peak/mib, answered.Load()), "512 MiB", alive && peak < 512*mib,
	}
}

// manyWalks walks 200 times at once, beside a neighbour.
func manyWalks(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes)
	i.ready()
	for range 100 {
		i.create("greedy", 10)
	}
	id := i.create("neighbour", 10)
	wait := load{Tenant: "greedy", Method: http.MethodGet, URL: i.url + "/v1/sessions?limit=500", Callers: 200, Time: attackTime}.start(t)
	asked, failed, unready := 0, 0, 0
	for end := time.Now().Add(attackTime); time.Now().Before(end); asked++ {
		if i.get("neighbour", "/v1/sessions/"+id) != http.StatusOK {
			failed++
		}
		if i.get("", "/readyz") != http.StatusOK {
			unready++
		}
	}
	walks := wait()
	return verdict{
		"200 walks at once", "503s for the neighbour", fmt.Sprintf("%d of %d calls and %d probes of others failed; walks:%s", failed, asked, unready, walks),
		"none failed", failed+unready == 0 && asked > 0 && walks[http.StatusTooManyRequests] > 0,
	}
}

// idleConnections holds 600 connections that say nothing.
func idleConnections(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes)
	i.ready()
	id := i.create("neighbour", 10)
	for n := range 600 {
		if c, err := i.dial(i.url, fmt.Sprintf("127.0.0.%d", 2+n%3)); err == nil {
			defer c.Close()
		}
	}
	served, probed := 0, 0
	for range 50 {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		if status, _ := send(t.Context(), client, "neighbour", http.MethodGet, i.url+"/v1/sessions/"+id, ""); status == http.StatusOK {
			served++
		}
		if status, _ := send(t.Context(), client, "", http.MethodGet, i.url+"/readyz", ""); status == http.StatusOK {
			probed++
		}
	}
	return verdict{
		fmt.Sprintf("600 idle connections at %d descriptors", descriptors), "nobody is served", fmt.Sprintf("%d of 50 calls and %d of 50 probes answered", served, probed),
		"all", served == 50 && probed == 50,
	}
}

// manyStreams opens 100 event streams from one address, without a key.
func manyStreams(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes)
	i.ready()
	open := func(from string) bool {
		c, err := i.dial(i.ops, from)
		if err != nil {
			return false
		}
		t.Cleanup(func() { c.Close() })
		return streams(c)
	}
	opened := 0
	for range 100 {
		if open("127.0.0.2") {
			opened++
		}
	}
	page, _ := send(t.Context(), impatient, "", http.MethodGet, i.ops+"/", "")
	other := open("127.0.0.3")
	return verdict{
		"100 event streams of one address", "the page is locked out", fmt.Sprintf("%d opened; page: %d, stream of another address: %t", opened, page, other),
		"at most 20, page and others work", 0 < opened && opened <= 20 && page == http.StatusOK && other,
	}
}

// streams asks for an event stream, and reports whether it is one.
func streams(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(c, "GET /v1/cluster/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	return err == nil && answer.StatusCode == http.StatusOK
}

// manyScrapes asks for the metrics over 300 connections, without a key.
func manyScrapes(t *testing.T, nodes string) verdict {
	i := startInstance(t, nodes, "--max-connections-per-address=350") // or most would find no connection
	i.ready()
	id := i.create("neighbour", 10)
	alone := i.latencies("neighbour", id)
	wait := load{Method: http.MethodGet, URL: i.ops + "/metrics", Callers: 300, Time: measureTime + 2*time.Second}.start(t)
	beside := i.latencies("neighbour", id)
	scrapes := wait()
	return verdict{
		"/metrics over 300 connections", "p50 from 1.5 to 150 ms", fmt.Sprintf("p50 of a neighbour from %s to %s; scrapes:%s", alone.at(0.5), beside.at(0.5), scrapes),
		"5 ms more", scrapes[http.StatusOK] > 0 && beside.at(0.5) < alone.at(0.5)+5*time.Millisecond,
	}
}

// manyFailures sends requests that fail, for ten seconds.
func manyFailures(t *testing.T, _ string) verdict {
	i := startInstance(t, "127.0.0.1:1", "--request-timeout=20ms")
	answers := load{Tenant: "greedy", Method: http.MethodGet, URL: i.url + "/v1/sessions/0000000000000000000000", Callers: 100, Time: 10 * time.Second}.start(t)()
	log, err := os.Stat(i.log)
	if err != nil {
		t.Fatal(err)
	}
	return verdict{
		"10 s of failing requests", "24 MB of log", fmt.Sprintf("%.1f MB of log for%s", float64(log.Size())/1e6, answers), "1 MB", answers[http.StatusServiceUnavailable] > 1000 && log.Size() < 1e6,
	}
}
