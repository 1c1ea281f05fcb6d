package load

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/polltest"
	"github.com/sessiond/sessiond/loadtest/servicetest"
)

// An instance serves requests, and answers readiness checks as told.
type instance struct {
	http.Handler
	readiness atomic.Int64 // status of /readyz; 0 never answers
	checks    atomic.Int64
	calls     atomic.Int64 // the others
}

func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/readyz" {
		i.calls.Add(1)
		i.Handler.ServeHTTP(w, r)
		return
	}
	i.checks.Add(1)
	status := int(i.readiness.Load())
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

// A target that is not ready gets no requests until it is ready again, as behind a load balancer.
func TestLeavesAloneWhoIsNotReady(t *testing.T) {
	service := &servicetest.Handler{Service: servicetest.New()}
	var urls []string
	instances := [2]*instance{{Handler: service}, {Handler: service}}
	for _, i := range instances {
		i.readiness.Store(http.StatusOK)
		server := httptest.NewServer(i)
		defer server.Close()
		urls = append(urls, server.URL)
	}
	stopping, other := instances[0], instances[1]
	stopping.readiness.Store(http.StatusServiceUnavailable)
	g, err := New(Config{
		Targets: urls, CheckEvery: 50 * time.Millisecond, Rate: Constant(1000), Duration: 200 * time.Millisecond,
		Sessions: 10, Users: 2, Mix: wholeMix, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	target := g.client.targets[0]
	load := func() (toStopping int64) {
		before := stopping.calls.Load()
		g.Run(t.Context())
		return stopping.calls.Load() - before
	}

	polltest.Eventually(t, "the check is heard", target.unready.Load)
	if err := g.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := load(); n != 0 {
		t.Errorf("%d requests went to the instance that is not ready", n)
	}

	stopping.readiness.Store(0)
	asked := stopping.checks.Load()
	polltest.Eventually(t, "checks go unanswered", func() bool { return stopping.checks.Load() > asked+2*silentChecks })
	g.client.targets[1].shun()
	if n := load(); n != 0 {
		t.Errorf("%d requests went to the instance that said it is not ready, and now says nothing", n)
	}

	stopping.readiness.Store(http.StatusOK)
	polltest.Eventually(t, "the instance is ready again", func() bool { return !target.unready.Load() })
	if n := load(); n == 0 {
		t.Error("no request went to the instance that is ready again")
	}

	stopping.readiness.Store(0)
	polltest.Eventually(t, "an instance that answers no check is not ready", target.unready.Load)

	other.readiness.Store(http.StatusServiceUnavailable)
	polltest.Eventually(t, "nobody is ready", g.client.targets[1].unready.Load)
	if n := load(); n == 0 {
		t.Error("where nobody is ready, everybody is asked")
	}
}

// One answer decides at once. Silence decides only if it lasts.
func TestChecksDecide(t *testing.T) {
	const ok, no, none = http.StatusOK, http.StatusServiceUnavailable, 0
	for _, test := range []struct {
		checks  []int
		unready bool
	}{
		{nil, false},
		{[]int{ok, no}, true},
		{[]int{no, ok}, false},
		{[]int{ok, none, none}, false},
		{[]int{ok, none, none, none}, true},
		{[]int{none, none, ok, none, none}, false},
		{[]int{no, none}, true},
		{[]int{none, none, none, none, ok}, false},
	} {
		var at target
		for _, status := range test.checks {
			at.checked(status)
		}
		if got := at.unready.Load(); got != test.unready {
			t.Errorf("after %v: unready is %v", test.checks, got)
		}
	}
}

// A call goes to every target before it fails, the best first.
func TestPick(t *testing.T) {
	synctest.Test(t, testPick)
}

func testPick(t *testing.T) {
	a, b, c := new(target), new(target), new(target)
	all := &client{targets: []*target{a, b, c}, redial: true}
	order := func() string {
		names := map[*target]string{a: "a", b: "b", c: "c"}
		var tried []*target
		text := ""
		for range all.targets {
			at := all.pick(1, tried)
			tried = append(tried, at)
			text += names[at]
		}
		return text
	}
	if got := order(); got != "bca" {
		t.Errorf("in turn: %s", got)
	}
	b.unready.Store(true)
	if got := order(); got != "cab" {
		t.Errorf("b is not ready: %s", got)
	}
	c.shun()
	if got := order(); got != "acb" {
		t.Errorf("and c refused a connection: %s", got)
	}
	if all.redial = false; order() != "cab" {
		t.Errorf("without avoiding targets that refused connections: %s", order())
	}
}
