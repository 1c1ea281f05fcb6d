package keys

import "github.com/prometheus/client_golang/prometheus"

var (
	descUsed = prometheus.NewDesc("sessiond_key_last_used_timestamp_seconds",
		"Unix time at which an API key was last used at this instance; 0 if not since it started.", []string{"key", "tenant"}, nil)
	descExpires = prometheus.NewDesc("sessiond_key_expires_timestamp_seconds",
		"Unix time at which an API key expires. Keys that never do have no series.", []string{"key", "tenant"}, nil)
)

// Describe implements [prometheus.Collector].
func (r *Ring) Describe(to chan<- *prometheus.Desc) {
	to <- descUsed
	to <- descExpires
}

// Collect implements [prometheus.Collector]. There are as many series as keys in the file.
func (r *Ring) Collect(to chan<- prometheus.Metric) {
	for _, e := range r.contents.Load().keys {
		labels := []string{e.grant.Key, e.grant.Tenant.Name()}
		to <- prometheus.MustNewConstMetric(descUsed, prometheus.GaugeValue, float64(e.used.Load()), labels...)
		if !e.expires.IsZero() {
			to <- prometheus.MustNewConstMetric(descExpires, prometheus.GaugeValue, float64(e.expires.Unix()), labels...)
		}
	}
}
