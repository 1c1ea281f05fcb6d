package faults

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Levels of what an instance must not retain after a fault.
type levels struct{ goroutines, connections float64 }

// slack is what an instance may hold beyond its level before the load: connections that the load warmed up, at most as
// many as a pool keeps idle to six nodes, and the goroutines of keep-alive connections that are not closed yet.
var slack = levels{goroutines: 40, connections: 6 * 8}

// levels returns the sum over the instances that answer.
func (d *drill) levels() levels {
	d.t.Helper()
	var sum levels
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, s := range d.services {
		l, err := scrape(client, s.URL)
		if err != nil {
			continue // stopped on purpose
		}
		sum.goroutines += l.goroutines
		sum.connections += l.connections
	}
	return sum
}

func scrape(client *http.Client, url string) (levels, error) {
	answer, err := client.Get(url + "/metrics")
	if err != nil {
		return levels{}, err
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return levels{}, fmt.Errorf("%s: %w", url, err)
	}
	var l levels
	for _, m := range families["go_goroutines"].GetMetric() {
		l.goroutines += m.GetGauge().GetValue()
	}
	for _, m := range families["sessiond_redis_connections"].GetMetric() {
		l.connections += m.GetGauge().GetValue()
	}
	return l, nil
}

// returnsToQuiet fails the drill if goroutines or connections do not come back within the calm.
func (d *drill) returnsToQuiet() {
	d.t.Helper()
	var now levels
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	n := float64(len(d.services))
	for end := time.Now().Add(calm); time.Now().Before(end); <-tick.C {
		now = d.levels()
		if now.goroutines <= d.before.goroutines+n*slack.goroutines && now.connections <= d.before.connections+n*slack.connections {
			return
		}
	}
	d.t.Errorf("%s after the load there are %.0f goroutines and %.0f connections, before it %.0f and %.0f",
		calm, now.goroutines, now.connections, d.before.goroutines, d.before.connections)
}
