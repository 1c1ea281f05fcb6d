package dashboards

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// What the queries share. Availability counts API calls only, not /metrics, /readyz and the like.
const (
	calls  = `route=~"/v1/(session|users).*"`
	reads  = `route=~"/v1/session|/v1/sessions/{id}", method="get"`
	writes = `route=~"/v1/(session|users).*", route!="/v1/sessions:batchGet", method=~"post|put|patch|delete"`
	failed = `code=~"5.."`

	latency = "sessiond_http_request_duration_seconds_bucket"
)

// expand replaces `$` in `{$}` and `{$, label="value"}` with the choice of instances.
func expand(expr string) string { return strings.ReplaceAll(expr, "{$", `{instance=~"$instance"`) }

// query makes a target for one or more lines, named by the legend.
func query(expr, legend string) Target {
	return Target{Datasource: chosen, EditorMode: "code", Expr: expand(expr), LegendFormat: legend, Range: true}
}

// once is query for the end of the time range only.
func once(expr, legend string) Target {
	t := query(expr, legend)
	t.Instant, t.Range = true, false
	return t
}

// rate returns the sum of a counter's rate per second, by labels ("kind" or "node, outcome").
func rate(labels, selector string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval]))", labels, selector)
}

// orNone adds a line at zero while there is no series yet, because a label value that never occurred has none. The line
// shows that the panel works, and what is normal.
func orNone(expr, label string) string {
	return fmt.Sprintf(`%s or on () label_replace(vector(0), %q, "none", "", "")`, expr, label)
}

// quantile returns the q-quantile of a histogram over the rate interval, by labels.
func quantile(q, labels, selector string) string {
	return fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s[$__rate_interval])))", q, labels, selector)
}

// quantiles returns the three quantiles that latency panels show.
func quantiles(selector string) []Target {
	return []Target{
		query(quantile("0.5", "le", selector), "p50"),
		query(quantile("0.99", "le", selector), "p99"),
		query(quantile("0.999", "le", selector), "p99.9"),
	}
}

// A Query is one question that a dashboard asks Prometheus.
type Query struct {
	Dashboard     string // title
	Panel         string // title, or the annotation's name
	Expr          string // with Grafana's variables, see Fill
	Instant       bool
	AfterFailover bool // may be empty as long as no master was lost
}

// Queries are all that the dashboard asks for: its panels' and its annotations'.
func (d Dashboard) Queries() []Query {
	var all []Query
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			all = append(all, Query{Dashboard: d.Title, Panel: p.Title, Expr: t.Expr, Instant: t.Instant, AfterFailover: p.AfterFailover})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, Query{Dashboard: d.Title, Panel: "annotation: " + a.Name, Expr: a.Expr, AfterFailover: true})
	}
	return all
}

// Values stand for Grafana's variables. The zero value is a step of one second over the last quarter of an hour, of all
// instances.
type Values struct {
	Step     time.Duration // between two points, and between two scrapes
	Range    time.Duration
	Instance string // a regular expression
}

// Fill puts values in the place of the variables, as Grafana does before it asks Prometheus.
func Fill(expr string, v Values) string {
	step, over, instance := v.Step, v.Range, v.Instance
	if step == 0 {
		step = time.Second
	}
	if over == 0 {
		over = 15 * time.Minute
	}
	if instance == "" {
		instance = ".*"
	}
	return strings.NewReplacer(
		"$__rate_interval", seconds(4*step),
		"$__range", seconds(over),
		"$__interval", seconds(step),
		"$instance", instance,
		"${instance}", instance,
	).Replace(expr)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

// metric is a name in a query: of the service, or of a recording rule, which holds colons.
var metric = regexp.MustCompile(`\b(?:[a-z]+:)?sessiond[_:][a-z0-9_:]+`)

// Metrics are the names in a query that the service's code or the recording rules must know.
func Metrics(expr string) []string { return metric.FindAllString(expr, -1) }
