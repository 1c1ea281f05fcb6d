package conns

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	closed  prometheus.Counter
	refused prometheus.Counter
}

func newMetrics(r prometheus.Registerer, g *Gate, listener prometheus.Labels) *metrics {
	m := &metrics{
		closed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sessiond_connections_closed_total",
			Help: "Silent connections from callers that were closed to make room for new ones.", ConstLabels: listener,
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name:        "sessiond_connections_refused_total",
			Help:        "Connections from callers that were closed at once or are only for probes, because a limit was reached and none was silent.",
			ConstLabels: listener,
		}),
	}
	r.MustRegister(m.closed, m.refused, newOpen(g, listener))
	return m
}

// open exports the open connections.
type open struct {
	gate *Gate
	desc *prometheus.Desc
}

func newOpen(g *Gate, listener prometheus.Labels) open {
	return open{g, prometheus.NewDesc("sessiond_connections",
		"Open connections from callers, by use: active, silent (accepted just now, or between two requests), or only for probes.", []string{"use"}, listener)}
}

func (o open) Describe(ch chan<- *prometheus.Desc) { ch <- o.desc }

func (o open) Collect(ch chan<- prometheus.Metric) {
	o.gate.mu.Lock()
	taken, silent, probes := o.gate.main.all.taken, o.gate.main.all.silent.Len(), o.gate.probes.all.taken
	o.gate.mu.Unlock()
	for use, n := range map[string]int{"active": taken - silent, "silent": silent, "probes": probes} {
		ch <- prometheus.MustNewConstMetric(o.desc, prometheus.GaugeValue, float64(n), use)
	}
}
