package peer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

// Metrics count what is sent to nodes, and the connections made to them. Nil counts nothing.
type Metrics struct {
	attempts  *prometheus.CounterVec   // by node, command, outcome
	latency   *prometheus.HistogramVec // by node, command
	redirects *prometheus.CounterVec   // by node, kind
	dials     *prometheus.CounterVec   // by node, outcome
	batches   *prometheus.HistogramVec // by kind
}

// NewMetrics makes the counters and registers them; nil registers nothing.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return promauto.With(r).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, labels)
	}
	return &Metrics{
		attempts: counter("sessiond_redis_attempts_total", "Commands sent to a node, or that could not be, by what came of them.", "node", "command", "outcome"),
		latency: histogram("sessiond_redis_attempt_duration_seconds", "Time from the sending of a pipeline to its last answer, for each command in it.",
			[]float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "node", "command"),
		redirects: counter("sessiond_redis_redirects_total", "Answers of a node that send a command elsewhere, or away for the moment.", "node", "kind"),
		dials:     counter("sessiond_redis_dials_total", "Connections made to a node, or tried.", "node", "outcome"),
		batches:   histogram("sessiond_batch_size", "Commands sent together.", []float64{1, 2, 4, 8, 16, 32, 64, 128}, "kind"),
	}
}

// Meet makes a node's series of what is rare, so that the first of a kind shows as an increase.
func (m *Metrics) Meet(node string) {
	for _, p := range passing {
		if p.redirect != "" {
			m.redirects.WithLabelValues(node, p.redirect)
		}
	}
	for _, outcome := range []string{"ok", "dial", "timeout", "breaker"} {
		m.dials.WithLabelValues(node, outcome)
	}
}

// Batch notes how many commands were sent together.
func (m *Metrics) Batch(kind string, size int) {
	if m != nil {
		m.batches.WithLabelValues(kind).Observe(float64(size))
	}
}

func (m *Metrics) dialled(node string, err error) {
	if m != nil {
		outcome, _ := classify(err)
		m.dials.WithLabelValues(node, outcome).Inc()
	}
}

// classify says, for labels, what came of one command.
func classify(err error) (outcome, redirect string) {
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return "ok", ""
	case isReply(err):
		if redirect, _ = pass(err); redirect != "" {
			return "redirect", redirect
		}
		return "error", ""
	case errors.Is(err, errBreakerOpen):
		return "breaker", ""
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "timeout", ""
	case isDial(err):
		return "dial", ""
	}
	return "io", ""
}

// counted are the commands that have a label of their own; what sets up a connection has not.
var counted = map[string]bool{
	"get": true, "getrange": true, "evalsha": true, "eval": true, "evalsha_ro": true, "eval_ro": true, "wait": true,
}

// An attemptHook counts and times what is sent to one node.
type attemptHook struct {
	metrics *Metrics
	name    func() string // of the node, for labels
}

// DialHook sees nothing of failed dials, which the pool does not learn of: the breaker counts them.
func (h attemptHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h attemptHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		h.count(time.Since(start), cmd)
		return err
	}
}

func (h attemptHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		h.count(time.Since(start), cmds...)
		return err
	}
}

func (h attemptHook) count(took time.Duration, cmds ...redis.Cmder) {
	node := h.name()
	for _, cmd := range cmds {
		name := cmd.Name()
		if !counted[name] {
			continue
		}
		outcome, redirect := classify(cmd.Err())
		h.metrics.attempts.WithLabelValues(node, name, outcome).Inc()
		h.metrics.latency.WithLabelValues(node, name).Observe(took.Seconds())
		if redirect != "" {
			h.metrics.redirects.WithLabelValues(node, redirect).Inc()
		}
	}
}
