package load

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/loadtest/servicetest"
)

// stopping is a transport to two instances of which one is not ready.
type stopping struct {
	http.RoundTripper
	sent atomic.Int64 // requests to the one that is not ready
}

func (s *stopping) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/readyz" {
		status := http.StatusOK
		if r.URL.Host == "stopping" {
			status = http.StatusServiceUnavailable
		}
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
	}
	if r.URL.Host == "stopping" {
		s.sent.Add(1)
	}
	return s.RoundTripper.RoundTrip(r)
}

// A target that is not ready gets no requests, as behind a load balancer.
func TestLeavesAloneWhoIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &stopping{RoundTripper: servicetest.New()}
		g, err := New(Config{
			Targets: []string{"http://stopping", "http://ready"}, Transport: transport, CheckEvery: 100 * time.Millisecond,
			Rate: Constant(200), Duration: 5 * time.Second, Sessions: 10, Users: 2, Mix: wholeMix, Seed: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		time.Sleep(time.Second) // the first checks
		if err := g.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Run(t.Context())
		if got := transport.sent.Load(); got > 0 {
			t.Errorf("%d requests went to the instance that is not ready", got)
		}
		if r := g.Report(); r.Reads.Count+r.Writes.Count < 900 {
			t.Errorf("only %d requests were sent", r.Reads.Count+r.Writes.Count)
		}
	})
}
