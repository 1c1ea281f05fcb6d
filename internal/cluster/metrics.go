package cluster

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// metrics are the client's counters. What can be looked up when it is asked for stands in [gauges].
type metrics struct {
	registry   prometheus.Registerer // nil: nowhere
	registered []prometheus.Collector

	attempts        *prometheus.CounterVec   // by node, command, outcome
	latency         *prometheus.HistogramVec // by node, command
	redirects       *prometheus.CounterVec   // by node, kind
	dials           *prometheus.CounterVec   // by node, outcome
	reads           *prometheus.CounterVec   // by source
	hedges          *prometheus.CounterVec   // by reason
	retries         *prometheus.CounterVec   // by kind
	durability      *prometheus.CounterVec   // by what was achieved
	unknown         prometheus.Counter
	batches         *prometheus.HistogramVec // by kind
	failovers       *prometheus.CounterVec   // by shard
	failoverSeconds *prometheus.HistogramVec // by shard
	assists         *prometheus.CounterVec   // by step
	events          *prometheus.CounterVec   // by type
}

func newMetrics(c *Client) *metrics {
	m := &metrics{registry: c.cfg.Metrics}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.register(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, labels)
		m.register(v)
		return v
	}
	m.attempts = counter("sessiond_redis_attempts_total", "Commands sent to a node, or that could not be, by what came of them.", "node", "command", "outcome")
	m.latency = histogram("sessiond_redis_attempt_duration_seconds", "Time from the sending of a pipeline to its last answer, for each command in it.",
		[]float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "node", "command")
	m.redirects = counter("sessiond_redis_redirects_total", "Answers of a node that send a command elsewhere, or away for the moment.", "node", "kind")
	m.dials = counter("sessiond_redis_dials_total", "Connections made to a node, or tried.", "node", "outcome")
	m.reads = counter("sessiond_reads_total", "Reads answered, by who answered them.", "source")
	m.hedges = counter("sessiond_hedges_total", "Reads that asked the replica, or were denied it, by the reason.", "reason")
	m.retries = counter("sessiond_retries_total", "Rounds that a read or a write took after the first.", "kind")
	m.durability = counter("sessiond_writes_total", "Writes acknowledged, by the durability they achieved.", "durability")
	m.unknown = prometheus.NewCounter(prometheus.CounterOpts{Name: "sessiond_unknown_outcomes_total", Help: "Writes that were given up without knowing whether they were applied."})
	m.register(m.unknown)
	m.batches = histogram("sessiond_batch_size", "Commands sent together.", []float64{1, 2, 4, 8, 16, 32, 64, 128}, "kind")
	m.failovers = counter("sessiond_failovers_total", "Promotions of a replica.", "shard")
	m.failoverSeconds = histogram("sessiond_failover_duration_seconds", "Time from the first write that failed to the first that succeeded after a promotion.",
		[]float64{.05, .1, .25, .5, .75, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30}, "shard")
	m.assists = counter("sessiond_failover_assists_total", "Replicas that were asked to take over, by how.", "step")
	m.events = counter("sessiond_events_total", "Events of the timeline.", "type")
	m.register(gauges{c})
	m.begin()
	return m
}

// begin makes the series whose labels are known from the start, so that the first of a kind shows as an increase.
func (m *metrics) begin() {
	for vec, values := range map[*prometheus.CounterVec][]string{
		m.reads:      {"master", "replica"},
		m.hedges:     {"slow", "suspect", "failed", "denied"},
		m.retries:    {"read", "write"},
		m.durability: {string(Async), string(Replicated), string(Single)},
		m.assists:    {"plain", "force"},
	} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
	for _, t := range eventTypes {
		m.events.WithLabelValues(string(t))
	}
}

// meetNode makes a node's series of what is rare.
func (m *metrics) meetNode(name string) {
	for _, kind := range redirectKinds {
		m.redirects.WithLabelValues(name, kind)
	}
	for _, outcome := range []string{"ok", "dial", "timeout", "breaker"} {
		m.dials.WithLabelValues(name, outcome)
	}
}

// meetShard does the same for a shard.
func (m *metrics) meetShard(name string) {
	m.failovers.WithLabelValues(name)
	m.failoverSeconds.WithLabelValues(name)
}

func (m *metrics) register(c prometheus.Collector) {
	if m.registry != nil {
		m.registry.MustRegister(c)
		m.registered = append(m.registered, c)
	}
}

func (m *metrics) unregister() {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
}

func (m *metrics) batch(kind string, size int) {
	m.batches.WithLabelValues(kind).Observe(float64(size))
}

func (m *metrics) dialled(node string, err error) {
	result, _ := classify(err)
	m.dials.WithLabelValues(node, result).Inc()
}

// redirectKinds are the answers that send a command elsewhere or away, by what they begin with.
var redirectKinds = map[string]string{
	"MOVED": "moved", "ASK": "ask", "TRYAGAIN": "tryagain", "CLUSTERDOWN": "clusterdown", "MASTERDOWN": "masterdown",
	"LOADING": "loading", "READONLY": "readonly", "NOREPLICAS": "noreplicas",
}

// classify says, for labels, what came of one command.
func classify(err error) (outcome, redirect string) {
	if err == nil || errors.Is(err, redis.Nil) {
		return "ok", ""
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		if redis.HasErrorPrefix(err, keyElsewhere) {
			return "redirect", "tryagain" // the same for a script
		}
		word, _, _ := strings.Cut(err.Error(), " ")
		if kind, ok := redirectKinds[word]; ok {
			return "redirect", kind
		}
		return "error", ""
	}
	if errors.Is(err, errBreakerOpen) {
		return "breaker", ""
	}
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		return "timeout", ""
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "dial", ""
	}
	return "io", ""
}

// An attemptHook counts and times what is sent to one node.
type attemptHook struct {
	metrics *metrics
	name    func() string
}

// DialHook sees nothing of failed dials, which the pool does not learn of: the gate counts them.
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

// counted are the commands that have a label of their own; what sets up a connection has not.
var counted = map[string]bool{
	"get": true, "getrange": true, "evalsha": true, "eval": true, "evalsha_ro": true, "eval_ro": true, "wait": true,
}

func (h attemptHook) count(took time.Duration, cmds ...redis.Cmder) {
	node := h.name()
	for _, cmd := range cmds {
		name := cmd.Name()
		if !counted[name] {
			continue
		}
		result, redirected := classify(cmd.Err())
		h.metrics.attempts.WithLabelValues(node, name, result).Inc()
		h.metrics.latency.WithLabelValues(node, name).Observe(took.Seconds())
		if redirected != "" {
			h.metrics.redirects.WithLabelValues(node, redirected).Inc()
		}
	}
}
