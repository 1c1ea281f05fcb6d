package httpapi

import (
	"net/http/httptest"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// slowRegistry gathers when the test lets it.
type slowRegistry struct {
	Registry
	asked, answer chan struct{}
}

func (r *slowRegistry) Gather() ([]*dto.MetricFamily, error) {
	r.asked <- struct{}{}
	<-r.answer
	return r.Registry.Gather()
}

// However many ask for the metrics, they are gathered for one at a time. The others wait a moment, and are refused.
func TestScrapesAreBounded(t *testing.T) {
	slow := &slowRegistry{asked: make(chan struct{}, 100), answer: make(chan struct{})}
	f := newFixture(t, func(c *Config) { slow.Registry, c.Metrics = c.Metrics, slow })
	answered := make(chan int, 100)
	scrape := func() {
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		answered <- w.Code
	}
	go scrape()
	<-slow.asked
	for range 20 {
		go scrape()
	}
	for range 20 {
		if got := <-answered; got != 503 {
			t.Errorf("got %d", got)
		}
	}
	if len(slow.asked) != 0 {
		t.Error("the metrics are gathered for several at the same time")
	}
	close(slow.answer)
	if got := <-answered; got != 200 {
		t.Errorf("the first: %d", got)
	}
	if got := f.do("GET", "/metrics", ""); got.StatusCode != 200 {
		t.Errorf("the next: %d", got.StatusCode)
	}
}
