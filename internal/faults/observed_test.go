package faults

import (
	"context"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/sessiond/sessiond/deploy/grafana/dashboards"
	"github.com/sessiond/sessiond/internal/polltest"
)

var observe = flag.Bool("observe", false, "kill a VM while Prometheus looks on, and ask it what every panel and every alert asks")

// TestKillIsSeen is the proof that needs no Grafana: a VM loses its power and comes back under load, a real Prometheus
// scrapes as in the bundle, and every query of every dashboard and every rule finds data; those on failover show it.
func TestKillIsSeen(t *testing.T) {
	if !*observe {
		t.Skip("no observed kill asked for: make test-observed runs it, or -observe")
	}
	// Gauges are scraped once a second, so they surely show only what lasts longer. With the bundle's 500 ms, it does not.
	d := begin(t, setup{rate: 300, noAssist: true, args: []string{"--census=1s", "--failover-assist=1500ms", "--audit-log=-"}})
	client, err := api.NewClient(api.Config{Address: d.real.StartPrometheus(t)})
	if err != nil {
		t.Fatal(err)
	}
	p := &observer{t: t, api: prometheus.NewAPI(client), from: time.Now()}
	t.Cleanup(p.tellAlerts)
	polltest.Eventually(t, "all targets are scraped", func() bool { return p.last(`sum(up)`) == 8 })
	d.lasts(quiet)

	died := time.Now()
	d.real.PowerOffVM(t, "vm2")
	p.becomes("the node is suspect", `max(sessiond_events_total{type="node-suspect"}) > 0`)
	p.becomes("the node is down", `max(sessiond_redis_node_state{node="redis-2.vm2", state="down"}) == 1`)
	p.becomes("the replica was promoted", `max(sessiond_cluster_node_role{node="redis-5.vm1", role="master"}) == 1`)
	p.becomes("all slots are covered", `min(sessiond_cluster_slots{state="covered"}) == 16384 and max(sessiond_events_total{type="slots-covered"}) > 0`)
	p.becomes("the write stall has ended", `max(sessiond_events_total{type="writes-resumed"}) > 0 and max(sessiond_shard_stalled_seconds) == 0`)
	// The alerts with the longest "for" need half a minute.
	for _, alert := range []string{"SessiondFailover", "SessiondNodeDown", "SessiondVMHoldsTwoMasters", "SessiondShardWithoutReplica"} {
		p.becomes(alert+" fires", `count(ALERTS{alertstate="firing", alertname="`+alert+`"}) > 0`)
	}
	d.real.StartVM(t, "vm2")
	d.inStep()
	p.becomes("the VM is back", `max(sessiond_events_total{type="node-up"}) > 0 and min(sessiond_cluster_replica_in_step) == 1`)
	d.rebalance()
	p.becomes("the cluster is rebalanced", `max(sessiond_events_total{type="rebalanced"}) > 0 and max(sessiond_cluster_masters) == 1`)
	p.becomes("the alerts are quiet", `(count(ALERTS{alertstate="firing", severity!="info"}) or vector(0)) == 0`)

	p.becomes("the rules of days have been evaluated", `count(sessiond:api_errors:ratio_rate30d) > 0`)

	p.everyPanel(died)
	p.everyRule()
	if f := d.figure(outage{began: died, ended: time.Now()}); f.failedReads+f.failedWrites > 0 {
		t.Errorf("while the fault lasted: %s", f)
	}
	d.finish()
}

// An observer asks Prometheus.
type observer struct {
	t    *testing.T
	api  prometheus.API
	from time.Time
}

// last returns the current value of a query; -1 if there is none.
func (p *observer) last(expr string) float64 {
	p.t.Helper()
	value, _, _, err := p.api.Query(p.t.Context(), expr, time.Time{})
	if err != nil {
		p.t.Fatalf("%s: %v", expr, err)
	}
	if v, ok := value.(model.Vector); ok && len(v) > 0 {
		return float64(v[0].Value)
	}
	return -1
}

// tellAlerts logs the alerts that fire, if the test has failed.
func (p *observer) tellAlerts() {
	if !p.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // that of the test has ended
	defer cancel()
	firing, _, _, err := p.api.Query(ctx, `ALERTS{alertstate="firing"}`, time.Time{})
	p.t.Logf("alerts that fire: %v, %v", firing, err)
}

// becomes waits until a filtering expression has a result.
func (p *observer) becomes(what, expr string) {
	p.t.Helper()
	began := time.Now()
	polltest.Eventually(p.t, what, func() bool { return p.last(expr) != -1 })
	p.t.Logf("%s: seen %s later", what, time.Since(began).Round(100*time.Millisecond))
}

// over runs a query over the time of the test, as a panel does, and returns the result.
func (p *observer) over(expr string) model.Matrix {
	p.t.Helper()
	now := time.Now() // the last step, so that what has just come is found
	start := now.Add(-now.Sub(p.from).Truncate(time.Second))
	value, warnings, _, err := p.api.QueryRange(p.t.Context(), expr, prometheus.Range{Start: start, End: now, Step: time.Second})
	if err != nil || len(warnings) > 0 {
		p.t.Errorf("%s: %v, warnings %q", expr, err, warnings)
		return nil
	}
	return value.(model.Matrix)
}

// everyPanel runs all queries of all dashboards, with the variables filled in as Grafana does.
func (p *observer) everyPanel(died time.Time) {
	p.t.Helper()
	shown := map[string]model.Matrix{}
	for _, d := range dashboards.All() {
		for _, q := range d.Queries() {
			found := p.over(dashboards.Fill(q.Expr, dashboards.Values{Range: time.Since(p.from)}))
			if !hasNumbers(found) {
				p.t.Errorf("%s, %s: no data for %s", q.Dashboard, q.Panel, q.Expr)
			}
			shown[q.Panel] = append(shown[q.Panel], found...)
		}
	}
	for panel, shows := range map[string]func(v float64) bool{
		"Slots covered":                  func(v float64) bool { return v < 1 },
		"Longest write gap":              func(v float64) bool { return v > 0.3 },
		"Promotions":                     func(v float64) bool { return v >= 1 },
		"Role and state of each node":    func(v float64) bool { return v == 5 },
		"State according to the cluster": func(v float64) bool { return v == 2 },
		"Silence":                        func(v float64) bool { return v > 5 },
		"Breaker":                        func(v float64) bool { return v == 1 },
		"Masters per VM":                 func(v float64) bool { return v == 2 },
		"Replicas in step":               func(v float64) bool { return v == 0 },
		"Writes stalled":                 func(v float64) bool { return v > 0.3 },
		"Failover duration":              func(v float64) bool { return v > 0.3 },
		"Replicas asked to take over":    func(v float64) bool { return v >= 1 },
		"Failed dials":                   func(v float64) bool { return v > 0 },
		"annotation: Epoch":              func(v float64) bool { return v > 0 },
		"annotation: Trouble":            func(v float64) bool { return v > 0 },
		"annotation: Promotion":          func(v float64) bool { return v > 0 },
		"annotation: Recovery":           func(v float64) bool { return v > 0 },
	} {
		if !ever(shown[panel], died, shows) {
			p.t.Errorf("%s does not show the kill", panel)
		}
	}
	single := slices.DeleteFunc(shown["Durability achieved"], func(s *model.SampleStream) bool { return s.Metric["durability"] != "single" })
	if !ever(single, died, func(v float64) bool { return v > 0 }) {
		p.t.Error("Durability achieved does not show the writes with one copy")
	}
}

func hasNumbers(of model.Matrix) bool {
	return ever(of, time.Time{}, func(v float64) bool { return v == v })
}

// ever reports whether a value held at any time after a moment.
func ever(of model.Matrix, after time.Time, holds func(v float64) bool) bool {
	for _, s := range of {
		for _, pair := range s.Values {
			if pair.Timestamp.Time().After(after) && holds(float64(pair.Value)) {
				return true
			}
		}
	}
	return false
}

// everyRule looks at all rules: Prometheus has evaluated each without an error, and each metric that one names is there.
func (p *observer) everyRule() {
	p.t.Helper()
	rules, err := p.api.Rules(p.t.Context(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	alerts, known := 0, map[string]bool{
		"sessiond_key_expires_timestamp_seconds": true, "sessiond_key_last_used_timestamp_seconds": true, // there is no key file here
	}
	check := func(name, expr string, health prometheus.RuleHealth, problem string) {
		if health != prometheus.RuleHealthGood {
			p.t.Errorf("%s is %s: %s", name, health, problem)
		}
		for _, metric := range dashboards.Metrics(expr) {
			if metric = strings.TrimSuffix(metric, ":"); !known[metric] && len(p.over(metric)) == 0 {
				p.t.Errorf("%s asks for %s, which is not there", name, metric)
			}
			known[metric] = true
		}
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			switch r := rule.(type) {
			case prometheus.AlertingRule:
				alerts++
				check(r.Name, r.Query, r.Health, r.LastError)
			case prometheus.RecordingRule:
				check(r.Name, r.Query, r.Health, r.LastError)
			}
		}
	}
	if alerts == 0 {
		p.t.Error("there are no alerts")
	}
	p.t.Logf("%d alerts, %d metrics in rules", alerts, len(known))
}
