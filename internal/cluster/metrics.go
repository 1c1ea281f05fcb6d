package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// metrics are the client's counters and those of the packages below. Values that can be looked up at a scrape are in
// [gauges].
type metrics struct {
	peer     *peer.Metrics
	watch    *watch.Metrics
	registry *registry

	reads      *prometheus.CounterVec // by source
	fromMaster prometheus.Counter     // of reads, the usual source
	hedges     *prometheus.CounterVec // by reason
	retries    *prometheus.CounterVec // by kind
	durability *prometheus.CounterVec // by durability achieved
	unknown    prometheus.Counter
}

func newMetrics(to prometheus.Registerer) *metrics {
	r := &registry{Registerer: to}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		peer: peer.NewMetrics(r), watch: watch.NewMetrics(r), registry: r,

		reads:      counter("sessiond_reads_total", "Reads answered, by source: master, replica, or a replica whose answer may be stale, as the caller allowed.", "source"),
		hedges:     counter("sessiond_hedges_total", "Reads that asked the replica, by reason; or that the hedge budget kept from it (denied).", "reason"),
		retries:    counter("sessiond_retries_total", "Rounds that reads and writes took after the first, by kind.", "kind"),
		durability: counter("sessiond_writes_total", "Writes acknowledged, by durability achieved.", "durability"),
		unknown: promauto.With(r).NewCounter(prometheus.CounterOpts{
			Name: "sessiond_unknown_outcomes_total", Help: "Writes that failed with an unknown outcome: they may have been applied. Touches in the background do not count.",
		}),
	}
	m.fromMaster = m.reads.WithLabelValues("master")
	m.begin()
	return m
}

// begin creates the series whose labels are known from the start, so that the first of a kind shows as an increase.
func (m *metrics) begin() {
	for vec, values := range map[*prometheus.CounterVec][]string{
		m.reads:      {"master", "replica", "stale"},
		m.hedges:     {"slow", "suspect", "failed", "denied"},
		m.retries:    {"read", "write"},
		m.durability: {string(Async), string(Replicated), string(Single)},
	} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
}

// A registry remembers what it has registered, so that a closed client leaves nothing behind.
type registry struct {
	prometheus.Registerer // nil: register nowhere
	registered            []prometheus.Collector
}

// MustRegister implements [prometheus.Registerer]. promauto calls no other method.
func (r *registry) MustRegister(cs ...prometheus.Collector) {
	if r.Registerer != nil {
		r.Registerer.MustRegister(cs...)
		r.registered = append(r.registered, cs...)
	}
}

func (r *registry) unregister() {
	for _, c := range r.registered {
		r.Unregister(c)
	}
}
