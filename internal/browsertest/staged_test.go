package browsertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A stage plays an instance to the live page, in states that a drill cannot produce reliably.
type stage struct {
	cluster  map[string]any
	events   []stagedEvent
	marks    []string     // expected labels over a chart at a width of 1280 pixels
	requests atomic.Int64 // counted by /metrics, growing with each scrape
}

type stagedEvent struct {
	Time                        time.Time
	Type, Node, VM, Shard, Text string
}

// serve serves the page's own files and the staged answers until the test ends.
func (s *stage) serve(t *testing.T) string {
	t.Helper()
	files := os.DirFS("../httpapi/page")
	mux := http.NewServeMux()
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServerFS(files)))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "index.html") })
	mux.HandleFunc("GET /v1/cluster", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.cluster)
	})
	mux.HandleFunc("GET /v1/cluster/events", s.tell)
	mux.HandleFunc("GET /metrics", s.count)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL
}

// tell sends the events and keeps the stream open.
func (s *stage) tell(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range s.events {
		id := fmt.Sprintf("stage-%d", i+1)
		body, _ := json.Marshal(map[string]string{"id": id, "time": e.Time.UTC().Format(time.RFC3339Nano), "type": e.Type,
			"node": e.Node, "vm": e.VM, "shard": e.Shard, "text": e.Text})
		fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", id, e.Type, body)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// count answers /metrics. All reads lie in the first bucket; writes are spread over several, with the slowest in the last.
func (s *stage) count(w http.ResponseWriter, r *http.Request) {
	n := s.requests.Add(500)
	for _, series := range []struct {
		method, route string
		within        map[string]float64 // share by bucket
	}{
		{"GET", "/v1/sessions/{id}", map[string]float64{"0.0005": 1, "0.001": 1, "10": 1, "+Inf": 1}},
		{"PUT", "/v1/sessions/{id}", map[string]float64{"0.0005": 0.1, "0.001": 0.9, "10": 0.95, "+Inf": 1}},
	} {
		labels := fmt.Sprintf(`method=%q,route=%q`, series.method, series.route)
		fmt.Fprintf(w, "sessiond_http_requests_total{%s,code=\"200\"} %d\n", labels, n)
		for le, share := range series.within {
			fmt.Fprintf(w, "sessiond_http_request_duration_seconds_bucket{%s,le=%q} %g\n", labels, le, share*float64(n))
		}
	}
	fmt.Fprintln(w, "process_start_time_seconds 1.7e+09")
}

// placement returns the answer of /v1/cluster for three VMs, with the given nodes as the masters of the shards in order.
func placement(masters ...string) map[string]any {
	slots := []string{"0-5460", "5461-10921", "10922-16383"}
	owner := map[string]int{"redis-1": 0, "redis-4": 0, "redis-2": 1, "redis-5": 1, "redis-3": 2, "redis-6": 2}
	vm := map[string]string{"redis-1": "vm1", "redis-5": "vm1", "redis-2": "vm2", "redis-6": "vm2", "redis-3": "vm3", "redis-4": "vm3"}
	perVM := map[string]int{"vm1": 0, "vm2": 0, "vm3": 0}
	var nodes, shards []map[string]any
	for i := range 6 {
		name := fmt.Sprintf("redis-%d", i+1)
		n := map[string]any{"node": name + "." + vm[name], "vm": vm[name], "addr": fmt.Sprintf("172.30.84.%d:6379", 11+i), "role": "replica",
			"slots": "", "epoch": 12 + i, "health": "ok", "state": "well", "silence": "0s"}
		shard := owner[name]
		if slices.Contains(masters, name) {
			n["role"], n["slots"] = "master", slots[shard]
			perVM[vm[name]]++
			shards = append(shards, map[string]any{"shard": fmt.Sprint(5461 * shard), "master": n["addr"], "slots": 5461, "writes": 17 * i, "stalled": false})
		} else {
			n["master"], n["link_up"], n["in_step"], n["lag_bytes"] = masters[shard]+"."+vm[masters[shard]], true, true, 1234567
		}
		nodes = append(nodes, n)
	}
	return map[string]any{"known": true, "epoch": 17, "slots_covered": 16384, "masters_per_vm": perVM, "nodes": nodes, "shards": shards}
}

// kill returns an instance's events for a VM's death and, unless 0, its return and the rebalance so many seconds later.
func kill(died time.Time, vm, master, heir, shard string, back, rebalanced float64) []stagedEvent {
	at := func(s float64) time.Time { return died.Add(time.Duration(s * float64(time.Second))) }
	events := []stagedEvent{
		{at(0.21), "node-suspect", master, vm, shard, master + " is suspect: reads go to its replica, writes wait"},
		{at(0.22), "writes-stalled", master, vm, shard, "writes to the shard of " + master + " are waiting"},
		{at(0.64), "failover-asked", heir, "", shard, master + " has been silent for 500ms: asked " + heir + " to take over by agreement"},
		{at(0.79), "failover-forced", heir, "", shard, "no agreement from " + master + ": asked " + heir + " to take over by election"},
		{at(0.86), "promoted", heir, "", shard, heir + " took over from " + master + ", epoch 18"},
		{at(0.87), "topology-adopted", "", "", "", "commands follow the topology of epoch 18"},
		{at(0.88), "writes-resumed", heir, "", shard, "writes to the shard of " + heir + " resumed after 640ms"},
		{at(0.73), "node-down", master, vm, "", master + " has not answered for 2s: its connections are closed"},
		{at(2.9), "node-failed", master, vm, "", "a majority of masters agrees that " + master + " is down"},
	}
	if back > 0 {
		events = append(events, stagedEvent{at(back), "node-up", master, vm, "", master + " answers"})
	}
	if rebalanced > 0 {
		events = append(events, stagedEvent{at(rebalanced), "rebalanced", "", "", "", "no VM holds two masters"})
	}
	slices.SortFunc(events, func(a, b stagedEvent) int { return a.Time.Compare(b.Time) })
	return events
}

// stages returns the stages by name.
func stages() map[string]*stage {
	now := time.Now()
	ago := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
	drills := func(seconds ...int) (events []stagedEvent) {
		for i, s := range seconds {
			vm, master, heir := []string{"vm2", "vm1", "vm3"}[i%3], []string{"redis-2.vm2", "redis-1.vm1", "redis-3.vm3"}[i%3], []string{"redis-5.vm1", "redis-4.vm3", "redis-6.vm2"}[i%3]
			events = append(events, kill(ago(s), vm, master, heir, fmt.Sprint(5461*(i%3)), 3.5, 4.2)...)
		}
		return events
	}
	dead := placement("redis-1", "redis-5", "redis-3")
	for _, n := range dead["nodes"].([]map[string]any) {
		if n["vm"] == "vm2" {
			n["state"], n["health"], n["silence"], n["answered_at"], n["in_step"], n["link_up"] = "down", "failed", "12.5s", ago(12).UTC().Format(time.RFC3339), false, false
		}
	}
	dead["shards"].([]map[string]any)[0]["stalled"] = true
	whole := "down, promoted, writes resumed, back, rebalanced"
	calm := placement("redis-1", "redis-2", "redis-3")
	return map[string]*stage{
		"calm":  {cluster: calm},
		"down":  {cluster: dead, events: slices.Concat(drills(3600, 1800, 900), kill(ago(12), "vm2", "redis-2.vm2", "redis-5.vm1", "5461", 0, 0)), marks: []string{"down, promoted, writes resumed"}},
		"edge":  {cluster: calm, events: drills(3600, 3000, 2400, 1800, 1200, 600, 115, 60, 5), marks: []string{whole, whole}},
		"close": {cluster: calm, events: drills(110, 101, 92, 83, 74, 30, 22, 14, 6), marks: []string{whole, whole}},
	}
}

// The page is well laid out, however much it has to show.
func TestLayout(t *testing.T) {
	browser := startBrowser(t, chromium(t))
	for name, s := range stages() {
		t.Run(name, func(t *testing.T) {
			url := s.serve(t)
			page := &tab{t: t}
			page.ctx, page.complaints = openTab(t, browser, "light", func(asked string) bool { return strings.HasPrefix(asked, url+"/") })
			if err := chromedp.Do(page.ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url+"/")); err != nil {
				t.Fatal(err)
			}
			page.shows("the load and the events", func(v view) bool { return v.Reads != "–" && v.Reads != "0" && len(v.Events) == len(s.events) })
			page.shoot(name)
			v := page.look()
			if latency := "p50 <\u00a00.5\u00a0ms, p99 <\u00a00.5\u00a0ms"; v.ReadLatency != latency {
				t.Errorf("reads within the first bucket are %q, want %q", v.ReadLatency, latency)
			}
			if latency := "p50 0.8\u00a0ms, p99 >\u00a010\u00a0s"; v.WriteLatency != latency {
				t.Errorf("writes on both sides of the buckets are %q, want %q", v.WriteLatency, latency)
			}
			if !slices.Equal(v.Marks, s.marks) {
				t.Errorf("the chart has the labels %q, want %q", v.Marks, s.marks)
			}
		})
	}
}
