package watch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sessiond/sessiond/internal/cluster/rights"
)

// Metrics count what the watcher has seen and done. Nil counts nothing.
type Metrics struct {
	failovers       *prometheus.CounterVec   // by shard
	failoverSeconds *prometheus.HistogramVec // by shard
	assists         *prometheus.CounterVec   // by step
	events          *prometheus.CounterVec   // by type
	rights          *prometheus.CounterVec   // by right and outcome
}

// NewMetrics makes the collectors and registers them with r; nil leaves them unregistered.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		failovers: counter("sessiond_failovers_total", "Promotions of a replica.", "shard"),
		failoverSeconds: promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
			Name: "sessiond_failover_duration_seconds", Help: "Time from the first write that failed or waited to the first that succeeded after a promotion.",
			Buckets:                     []float64{.05, .1, .25, .5, .75, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"shard"}),
		assists: counter("sessiond_failover_assists_total", "Requests to a replica to take over, by step: plain or force.", "step"),
		events:  counter("sessiond_events_total", "Events of the timeline.", "type"),
		rights:  counter("sessiond_rights_total", "Rounds in which this instance asked the masters for a lease on a replica, for a lease to force an election (force), or for a mark, by outcome.", "right", "outcome"),
	}
	// They exist from the start, so that the first of a kind shows as an increase.
	for _, step := range []string{"plain", "force"} {
		m.assists.WithLabelValues(step)
	}
	for _, t := range eventTypes {
		m.events.WithLabelValues(string(t))
	}
	for _, k := range rights.Kinds {
		for _, v := range rights.Verdicts {
			m.rights.WithLabelValues(string(k), string(v))
		}
	}
	return m
}

// Meet creates a shard's series of rare events, so that the first shows as an increase.
func (m *Metrics) Meet(shard string) {
	m.failovers.WithLabelValues(shard)
	m.failoverSeconds.WithLabelValues(shard)
}

func (m *Metrics) told(t EventType) {
	if m != nil {
		m.events.WithLabelValues(string(t)).Inc()
	}
}

func (m *Metrics) failedOver(shard string) {
	if m != nil {
		m.failovers.WithLabelValues(shard).Inc()
	}
}

func (m *Metrics) recovered(shard string, gap time.Duration) {
	if m != nil {
		m.failoverSeconds.WithLabelValues(shard).Observe(gap.Seconds())
	}
}

func (m *Metrics) asked(step string) {
	if m != nil {
		m.assists.WithLabelValues(step).Inc()
	}
}

func (m *Metrics) right(o rights.Outcome) {
	if m != nil {
		m.rights.WithLabelValues(string(o.Kind), string(o.Reason)).Inc()
	}
}
