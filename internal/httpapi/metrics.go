package httpapi

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// metrics are the API's. No label has a value that the caller chooses freely: routes are patterns, and methods are those
// of the standards.
type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	problems *prometheus.CounterVec
	quotas   *prometheus.CounterVec

	mu    sync.RWMutex
	known map[labels]*answerSeries // those of answers that were seen; guarded by mu
}

type (
	// labels are what the metrics of an answer are told apart by.
	labels struct {
		route, method, tenant string
		status                int
	}
	// answerSeries are those metrics. To look for them in the metrics of all answers each time would take longer than to count one.
	answerSeries struct {
		requests prometheus.Counter
		latency  prometheus.Observer
	}
)

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sessiond_http_requests_total",
			Help: "HTTP requests answered, by route pattern; code 499 if the caller closed the connection first.",
		}, []string{"route", "method", "code", "tenant"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "sessiond_http_request_duration_seconds",
			Help:                            "Time from the arrival of a request to its answer.",
			Buckets:                         []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sessiond_http_requests_in_flight",
			Help: "HTTP requests in progress, event streams included.",
		}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sessiond_problems_total",
			Help: "Problem documents sent, including those inside batch answers, by kind (docs/problems.md).",
		}, []string{"kind"}),
	}
	m.quotas = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sessiond_quota_refusals_total",
		Help: "Requests refused because their tenant has taken what it may, by quota: requests (per second), in-flight, sessions, bytes or walks.",
	}, []string{"tenant", "quota"})
	for _, k := range []kind{internal, unavailable, overloaded, auditUnavailable, outcomeUnknown, storeFull} {
		m.problems.WithLabelValues(k.name) // exported from the start, so that the first one shows as an increase
	}
	m.known = map[labels]*answerSeries{}
	r.MustRegister(m.requests, m.latency, m.inFlight, m.problems, m.quotas)
	return m
}

// observe counts and times an answer. The labels method and code are those of promhttp.
func (m *metrics) observe(ctx context.Context, verb string, c *call, took time.Duration) {
	s := m.of(labels{c.route, cmp.Or(methods[verb], "unknown"), c.tenant, c.status})
	if marks := exemplar(ctx, c, took); marks != nil {
		s.requests.(prometheus.ExemplarAdder).AddWithExemplar(1, marks)
		s.latency.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), marks)
		return
	}
	s.requests.Inc()
	s.latency.Observe(took.Seconds())
}

// of returns the series of the labels. They are never forgotten, and neither are those of the metrics themselves.
func (m *metrics) of(l labels) *answerSeries {
	m.mu.RLock()
	s := m.known[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	s = &answerSeries{m.requests.WithLabelValues(l.route, l.method, strconv.Itoa(l.status), l.tenant), m.latency.WithLabelValues(l.route, l.method)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[l] = s // if several come at once, theirs are the same
	return s
}

// exemplar links a sample in a histogram to the request's trace, or to its line in the log, which every slow request has.
func exemplar(ctx context.Context, c *call, took time.Duration) prometheus.Labels {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		return prometheus.Labels{"trace_id": span.TraceID().String()}
	}
	if c.slow > 0 && took >= c.slow {
		return prometheus.Labels{"request_id": c.requestID}
	}
	return nil
}

// route returns the pattern that matched. It is known only after routing. No router is mounted in another, so that there is one pattern
// at most.
func route(ctx context.Context) string {
	if at := chi.RouteContext(ctx); at != nil && len(at.RoutePatterns) == 1 {
		if pattern := at.RoutePatterns[0]; pattern != "" && pattern[len(pattern)-1] != '*' {
			return pattern
		}
	}
	return "unmatched"
}
