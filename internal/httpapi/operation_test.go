package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

func TestReadiness(t *testing.T) {
	f := newFixture(t)
	f.do("GET", "/livez", "").want(200)
	if got := f.do("GET", "/readyz", "").want(200).json(); got["status"] != "ready" || got["slots_covered"] != 16384.0 || got["nodes"] != nil {
		t.Errorf("got %v", got)
	}
	if got := f.do("GET", "/readyz?verbose", "").want(200).json(); len(got["nodes"].([]any)) != 1 {
		t.Errorf("got %v", got)
	}

	f.ready = func(context.Context) (watch.Snapshot, error) {
		return watch.Snapshot{SlotsCovered: 10000, UncoveredFor: time.Second}, nil
	}
	got := f.do("GET", "/readyz", "").want(200).json() // a failover is in progress
	if got["status"] != "ready" || got["reason"] != "6384 of 16384 slots have no healthy master" {
		t.Errorf("got %v", got)
	}

	// For long: an instance that serves as much as any other could stays, one that misses what others reach leaves.
	for _, c := range []struct {
		name string
		seen watch.Snapshot
		want int
	}{
		{"a shard is lost", watch.Snapshot{Majority: true}, 200},
		{"others reach its master", watch.Snapshot{Majority: true, Missed: 5461}, 503},
		{"this instance reaches no majority", watch.Snapshot{}, 503},
		{"slots that nobody has", watch.Snapshot{Majority: true, Unowned: 1}, 503},
	} {
		f.ready = func(context.Context) (watch.Snapshot, error) {
			c.seen.SlotsCovered, c.seen.UncoveredFor = 10000, time.Minute
			return c.seen, nil
		}
		got = f.do("GET", "/readyz", "").want(c.want).json()
		if got["status"] != map[int]string{200: "ready", 503: "not ready"}[c.want] || got["reason"] != "6384 of 16384 slots have no healthy master" {
			t.Errorf("%s: got %v", c.name, got)
		}
	}

	f.ready = func(context.Context) (watch.Snapshot, error) { return watch.Snapshot{}, cluster.ErrUnavailable }
	got = f.do("GET", "/readyz", "").want(503).json()
	if got["status"] != "not ready" || got["reason"] != "no node of the cluster responds" {
		t.Errorf("got %v", got)
	}
	f.do("GET", "/livez", "").want(200)
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	id := f.do("POST", "/v1/sessions", `{}`).id()
	f.do("GET", "/v1/sessions/"+id, "").want(200)
	f.do("GET", "/v1/session", "", "Session-ID", id).want(200)
	f.raw("GET", "/no/"+id, "").want(404)
	f.raw("BREW", "/v1/sessions/"+id, "").want(405)
	want := `
		# HELP sessiond_http_requests_total HTTP requests answered, by route pattern; code 499 if the caller closed the connection first.
		# TYPE sessiond_http_requests_total counter
		sessiond_http_requests_total{code="200",method="get",route="/v1/session",tenant="acme"} 1
		sessiond_http_requests_total{code="200",method="get",route="/v1/sessions/{id}",tenant="acme"} 1
		sessiond_http_requests_total{code="201",method="post",route="/v1/sessions",tenant="acme"} 1
		sessiond_http_requests_total{code="404",method="get",route="unmatched",tenant=""} 1
		sessiond_http_requests_total{code="405",method="unknown",route="unmatched",tenant=""} 1
	`
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(want), "sessiond_http_requests_total"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(f.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	got := f.do("GET", "/metrics", "").want(200)
	if strings.Contains(string(got.body), id) || !strings.Contains(string(got.body), "sessiond_http_request_duration_seconds_count") {
		t.Errorf("got %s", got.body)
	}
}

// No ID in any log line, whatever the call, the outcome, or the place where the ID stands.
func TestNoIDInTheLog(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.LogsPerSecond = -1 })
	created := f.do("POST", "/v1/sessions", `{"user":"alice","data":{"secret":"payload"}}`)
	ids := []string{created.id(), "of-a-framework.0123456789", "malformed{}0123456789012345"}
	for _, id := range ids {
		for _, path := range []string{"/v1/sessions/" + id, "/v1/session", "/v1/sessions/" + id + "/nothing", "/" + id} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "POST"} {
				f.raw(method, path, `{"data":{"secret":"payload"}}`, "Session-ID", id)
				f.raw(method, path, `{"data":{"secret":"payload"}}`, "Session-ID", id, "If-None-Match", "*", "X-Request-Id", id)
				if strings.Contains(path, id) {
					f.raw(method, path, "", "X-Request-Id", "req-"+id)
				}
			}
		}
	}
	f.store.err = errors.New("trouble")
	f.raw("GET", "/v1/sessions/"+ids[0], "")
	log := f.log.String()
	for _, secret := range append(ids, "payload") {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
	handle, _ := created.json()["handle"].(string)
	for _, want := range []string{`"session":"` + handle + `"`, `"route":"/v1/sessions/{id}"`, `"problem":"not-found"`, `"error":"trouble"`} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log", want)
		}
	}
	if lines, requests := strings.Count(log, "\n"), 1+3*(4*2+3)*5+1; lines != requests {
		t.Errorf("%d lines for %d requests", lines, requests)
	}
}

func TestRequestID(t *testing.T) {
	f := newFixture(t)
	if got := f.do("GET", "/livez", "", "X-Request-Id", "abc-1").Header.Get("X-Request-Id"); got != "abc-1" {
		t.Errorf("got %q", got)
	}
	for id, taken := range map[string]bool{"an-api-key": false, "req-an-api-key-1": false, "api-key-1": false, "xan-api-key-": false, "a-key-12": true} {
		got := f.do("GET", "/livez", "", "X-Request-Id", id, "Authorization", "Bearer an-api-key-1").Header.Get("X-Request-Id")
		if (got == id) != taken {
			t.Errorf("%s became %s beside the key", id, got)
		}
	}
	for _, bad := range []string{"a b", "a\"b", strings.Repeat("x", 65)} {
		if got := f.do("GET", "/livez", "", "X-Request-Id", bad).Header.Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

// The routes in the code and in the document are the same.
func TestOpenAPIListsEveryRoute(t *testing.T) {
	f := newFixture(t)
	if got := f.do("GET", "/openapi.yaml", "").want(200); string(got.body) != string(openapiYAML) {
		t.Error("another document is served")
	}
	inCode := map[string]bool{}
	err := chi.Walk(f.handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if route != "/metrics" || method == "GET" { // promhttp takes every method
			inCode[method+" "+route] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	inDocument := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			inDocument[method+" "+path] = true
		}
	}
	if !maps.Equal(inCode, inDocument) {
		t.Errorf("the code has %v\nthe document %v", slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(inDocument)))
	}
}

// The README's table of endpoints and the code list the same.
func TestREADMEListsTheEndpoints(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	inReadme := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`?]*)` \\|").FindAllStringSubmatch(string(readme), -1) {
		inReadme[m[1]] = true
	}
	inCode := map[string]bool{}
	err = chi.Walk(newFixture(t, withPage).handler.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !strings.HasPrefix(route, "/v1/session/") && route != "/v1/session" && (route != "/metrics" || method == "GET") && route != "/page/{file}" {
			inCode[method+" "+route] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(inCode, inReadme) {
		t.Errorf("the code has %v\nthe README %v", slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(inReadme)))
	}
}
