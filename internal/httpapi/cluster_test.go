package httpapi

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

func TestClusterShowsTheNode(t *testing.T) {
	f := newFixture(t)
	f.do("POST", "/v1/sessions", `{}`).want(201) // by then the node has answered
	got := f.do("GET", "/v1/cluster", "").want(200).json()
	nodes := got["nodes"].([]any)
	if got["known"] != true || got["slots_covered"] != 16384.0 || len(nodes) != 1 {
		t.Fatalf("got %v", got)
	}
	if n := nodes[0].(map[string]any); n["addr"] != f.embedded.Addr() || n["role"] != "master" || n["state"] != "well" || n["slots"] != "0-16383" {
		t.Errorf("got %v", n)
	}
	if found, ok := got["findings"].([]any); !ok || len(found) > 0 || got["examined_at"] != nil {
		t.Errorf("nobody examines the embedded store: %v, %v", got["findings"], got["examined_at"])
	}
	f.do("GET", "/v1/cluster?since=1", "").wantProblem(400, "malformed-request")
}

func TestClusterShowsFindings(t *testing.T) {
	finding := doctor.Finding{Check: "eviction", Severity: doctor.Breaks, Node: "redis-1.vm1", Found: "f", Promise: "p", Why: "w", Do: "d"}
	body := describeCluster(watch.Snapshot{Known: true, Examined: time.Now(), Findings: []doctor.Finding{finding}})
	text, err := json.Marshal(body)
	want := `"findings":[{"check":"eviction","severity":"breaks","node":"redis-1.vm1","found":"f","promise":"p","why":"w","do":"d"}]`
	if err != nil || !strings.Contains(string(text), want) || body.ExaminedAt == "" {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestEventsAfterAnID(t *testing.T) {
	f := newFixture(t)
	f.do("POST", "/v1/sessions", `{}`).want(201)
	events := f.do("GET", "/v1/cluster/events", "").want(200).json()["events"].([]any)
	if len(events) == 0 {
		t.Fatal("no events")
	}
	first := events[0].(map[string]any)
	if first["type"] != "topology-adopted" {
		t.Errorf("got %v", first)
	}
	rest := func(query string, headers ...string) int {
		return len(f.do("GET", "/v1/cluster/events"+query, "", headers...).want(200).json()["events"].([]any))
	}
	id := first["id"].(string)
	if got := rest("?since=" + id); got != len(events)-1 {
		t.Errorf("%d events after the first of %d", got, len(events))
	}
	if got := rest("", "Last-Event-ID", id); got != len(events)-1 {
		t.Errorf("%d events after the first of %d, by the header", got, len(events))
	}
	for _, foreign := range []string{"another-1", "7", "-"} {
		if got := rest("?since=" + foreign); got != len(events) {
			t.Errorf("%d of %d events after an ID that was never issued", got, len(events))
		}
	}
}

// A stream tells what was, then what comes, and ends when the service stops.
func TestEventStream(t *testing.T) {
	f := newFixture(t)
	f.do("POST", "/v1/sessions", `{}`).want(201)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/cluster/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %s", got)
	}
	lines := bufio.NewScanner(answer.Body)
	until := func(prefix string) string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("the stream ended before %q", prefix)
		return ""
	}
	if id := until("id: "); !strings.HasSuffix(id, "-1") {
		t.Errorf("the first event has %s", id)
	}
	until("event: topology-adopted")
	if data := until("data: "); !strings.Contains(data, `"text":"first view: 1 nodes`) {
		t.Errorf("got %s", data)
	}
	f.embedded.Close() // and the node falls silent
	until("event: node-suspect")
	until("event: node-down")
	close(f.draining)
	for lines.Scan() {
	}
}
