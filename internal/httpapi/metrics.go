package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sessiond_http_requests_total",
			Help: "HTTP requests answered, by the pattern of the route; status 499 if the caller hung up before.",
		}, []string{"route", "method", "status", "tenant"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "sessiond_http_request_duration_seconds",
			Help:                            "Time from the arrival of a request to its answer.",
			Buckets:                         []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"route", "method"}),
	}
	r.MustRegister(m.requests, m.latency)
	return m
}

func (m *metrics) observe(route, verb string, status int, tenant string, took time.Duration) {
	verb = method(verb)
	m.requests.WithLabelValues(route, verb, strconv.Itoa(status), tenant).Inc()
	m.latency.WithLabelValues(route, verb).Observe(took.Seconds())
}
