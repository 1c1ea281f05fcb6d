package session

import "github.com/prometheus/client_golang/prometheus"

// metrics count what happens to sessions. Their labels are tenants, of which there are few, and never users or sessions.
type metrics struct {
	created, revoked, rotated, reused *prometheus.CounterVec
	touches                           *prometheus.CounterVec // by outcome, see below
}

// The outcomes of a read that may slide the idle deadline.
const (
	touchSent       = "sent"
	touchSuppressed = "suppressed" // the deadline was slid recently
	touchCoalesced  = "coalesced"  // a touch of the same session is queued
	touchDropped    = "dropped"    // the queue is full
	touchFailed     = "failed"
)

// countCreated counts a new session. It also starts its tenant's rarer series at zero, so that their first event shows as
// an increase.
func (m *metrics) countCreated(tenant string) {
	m.created.WithLabelValues(tenant).Inc()
	for _, rare := range []*prometheus.CounterVec{m.revoked, m.rotated, m.reused} {
		rare.WithLabelValues(tenant)
	}
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	return &metrics{
		created: counter("sessiond_sessions_created_total", "Sessions created, by logins not included.", "tenant"),
		revoked: counter("sessiond_sessions_revoked_total", "Sessions revoked by calls.", "tenant"),
		rotated: counter("sessiond_sessions_rotated_total", "Sessions that got a new ID, by logins too.", "tenant"),
		reused:  counter("sessiond_sessions_reused_total", "Sessions revoked because a rotated ID was used after its grace.", "tenant"),
		touches: counter("sessiond_touches_total", "Reads that may slide the idle deadline, by what became of the touch.", "outcome"),
	}
}
