package peer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

// Metrics count the commands sent to nodes and the connections made to them. Nil counts nothing.
type Metrics struct {
	attempts  *prometheus.CounterVec   // by node, command, outcome
	latency   *prometheus.HistogramVec // by node, command
	redirects *prometheus.CounterVec   // by node, kind
	dials     *prometheus.CounterVec   // by node, outcome
	batches   *prometheus.HistogramVec // by kind
}

// NewMetrics makes the collectors and registers them with r; nil leaves them unregistered.
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
		attempts: counter("sessiond_redis_attempts_total", "Commands for a node, sent or not, by outcome.", "node", "command", "outcome"),
		latency: histogram("sessiond_redis_attempt_duration_seconds", "Time from sending a pipeline to its last reply, for each command in it.",
			[]float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "node", "command"),
		redirects: counter("sessiond_redis_redirects_total", "Replies that redirect a command to another node or ask to try it again later, by kind.", "node", "kind"),
		dials:     counter("sessiond_redis_dials_total", "Attempts to connect to a node, by outcome.", "node", "outcome"),
		batches:   histogram("sessiond_batch_size", "Commands sent to a node in one pipeline.", []float64{1, 2, 4, 8, 16, 32, 64, 128}, "kind"),
	}
}

// Meet creates a node's series of rare outcomes, so that the first of a kind shows as an increase.
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

// Batch counts the commands of one pipeline.
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

// classify returns the labels for the outcome of a command. The redirect is empty unless the outcome is "redirect".
func classify(err error) (outcome, redirect string) {
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return "ok", ""
	case IsReply(err):
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

// counted are the commands that are counted. Those that set up a connection are not.
var counted = map[string]bool{
	"get": true, "getrange": true, "evalsha": true, "eval": true, "evalsha_ro": true, "eval_ro": true, "wait": true,
}

// An attemptHook counts and times the commands sent to one node.
type attemptHook struct {
	metrics *Metrics
	name    func() string // of the node, for labels
}

// DialHook counts nothing: the breaker hides failed dials from the pool, and counts them itself.
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
