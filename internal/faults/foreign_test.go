package faults

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// foreignCluster lets nodes of another cluster answer at the addresses of nodes that have ended: first at one whose replica
// has taken over, then at all. The service serves with its own nodes as long as there are any, and never with the others.
func foreignCluster(t *testing.T) {
	d := &drill{t: t, real: clustertest.Start(t)}
	d.admin = d.real.Admin(t)
	other := d.real.StartBeside(t)
	founded := other.Keys(t) // its registers, see package rights
	d.start(setup{rate: *rate / 5})

	f := d.disturb("one node is another cluster's", func() {
		d.real.KillNode(t, "redis-2")
		d.covered()
		other.TakeAddress(t, "other-redis-2", d.real, "redis-2")
		d.tell("foreign-node")
		d.lasts(2 * settled)
	})
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.judge()
	if n := other.Keys(t); n != founded {
		t.Errorf("the other cluster has %d keys, and had %d", n, founded)
	}

	id := d.create(t, d.services[0])
	for _, name := range []string{"redis-1", "redis-3", "redis-4", "redis-5", "redis-6"} {
		d.real.KillNode(t, name)
		other.TakeAddress(t, "other-"+name, d.real, name)
	}
	for _, s := range d.services {
		polltest.Eventually(t, s.Name+" is not ready", func() bool { return status(http.MethodGet, s.URL+"/readyz", "") == http.StatusServiceUnavailable })
		if got := status(http.MethodGet, s.URL+"/v1/sessions/"+id, ""); got != http.StatusServiceUnavailable {
			t.Errorf("%s: a read is %d", s.Name, got)
		}
		if got := status(http.MethodPost, s.URL+"/v1/sessions", `{"data":1}`); got != http.StatusServiceUnavailable {
			t.Errorf("%s: a write is %d", s.Name, got)
		}
		if got := status(http.MethodGet, s.URL+"/readyz", ""); got != http.StatusServiceUnavailable {
			t.Errorf("%s: it is ready again: %d", s.Name, got)
		}
	}
	if n := other.Keys(t); n != founded {
		t.Errorf("the other cluster has %d keys, and had %d", n, founded)
	}
}

// tell waits until every instance has told an event of a type.
func (d *drill) tell(kind string) {
	d.t.Helper()
	for _, s := range d.services {
		polltest.Eventually(d.t, s.Name+" tells "+kind, func() bool {
			events, err := eventsOf(s.URL)
			return err == nil && slices.ContainsFunc(events, func(e event) bool { return e.Type == kind })
		})
	}
}

// create makes a session and returns its ID.
func (d *drill) create(t *testing.T, s *clustertest.Service) string {
	t.Helper()
	answer, err := http.Post(s.URL+"/v1/sessions", "application/json", strings.NewReader(`{"data":1}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("a creation is %d", answer.StatusCode)
	}
	return answer.Header.Get("Session-ID")
}

// status returns the status of an answer; 0 if there is none.
func status(method, url, body string) int {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: 15 * time.Second}).Do(req)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}
