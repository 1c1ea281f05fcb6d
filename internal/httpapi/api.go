// Package httpapi is the service's HTTP side: routes, decoding, problem documents, middleware and the OpenAPI document.
// It knows nothing of Redis.
package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// Config is what the API needs. Every field must be set unless its comment says what the zero value means.
type Config struct {
	Store    session.Store
	Grant    func(bearer string) (keys.Grant, bool)        // what a caller may do; false for an unknown or expired key
	GrantOf  func(*x509.Certificate) (keys.Grant, bool)    // the same for a verified client certificate; nil if there are none
	Ready    func(context.Context) (watch.Snapshot, error) // waits until a node has answered, and returns the cluster's state
	State    func() watch.Snapshot                         // the cluster's state as it is known now
	Events   *watch.Events
	Draining <-chan struct{} // closed when the service stops: event streams end, and every answer closes its connection
	Deadline time.Duration   // of one request, from its arrival
	Log      *slog.Logger
	Metrics  Registry // where the API registers its collectors, and what /metrics shows

	OnlyProbes    func(context.Context) bool // whether a request came over a connection that is only for probes; nil for none
	Hosts         []string                   // the names that callers may use for the service, besides localhost and addresses; nil for any
	SlowRequest   time.Duration              // a request that takes this long is always logged
	LogsPerSecond int                        // lines for requests that were neither slow nor failed; negative for no limit
	Places        int                        // how many requests are worked on while several tenants send some; 0 for 8 per core
	Audit         *audit.Log                 // nil for none
	Page          bool                       // whether to serve the live page at /
	Profiles      bool                       // whether to serve profiles of the process below /debug/pprof/, where operations are apart
	Ops           OpsAccess                  // who may see the metrics, the cluster and the page
	OpsHosts      []string                   // what Hosts is, for the handler of operations where they are apart
	Tracing       trace.TracerProvider       // nil for no tracing
}

// A Registry registers and gathers metrics; usually it is a [prometheus.Registry].
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

type api struct {
	Config
	metrics   *metrics
	requests  *requestLog
	tracer    *tracer
	boot      string              // distinguishes this process's event IDs from another's
	streams   seats               // of event streams, by address
	streamsBy seats               // the same, by key
	batches   *semaphore.Weighted // bytes of the sessions in batch answers, see batchMemory
	batchesOf sync.Map            // the same of each tenant, by name
	meters    meters
	turns     *turns
	walks     seats // of walks in progress
}

// New returns the handler of the service, and that of its operations, which is nil unless they are apart (cfg.Ops). It
// registers its collectors on cfg.Metrics.
func New(cfg Config) (service, ops http.Handler) {
	a := &api{
		Config:    cfg,
		metrics:   newMetrics(cfg.Metrics),
		requests:  &requestLog{log: cfg.Log, slow: cfg.SlowRequest, limit: cfg.LogsPerSecond},
		tracer:    newTracer(cfg.Tracing),
		boot:      strings.ToLower(rand.Text()[:8]),
		streams:   seats{all: maxStreams, each: maxStreamsOf},
		streamsBy: seats{all: maxStreams, each: maxStreamsBy},
		turns:     newTurns(cfg.Places),
		walks:     seats{all: maxWalks, each: maxWalksOf},
		batches:   semaphore.NewWeighted(batchMemory),
	}
	cfg.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sessiond_http_requests_waiting",
		Help: "HTTP requests that wait until it is their tenant's turn, because several tenants send more than is worked on at once.",
	}, func() float64 { return float64(a.turns.queued()) }))
	if cfg.Ops == OpsApart {
		ops = a.newOps()
	}
	r := a.newRouter(cfg.Hosts)
	a.routeHealth(r)
	r.Get("/openapi.yaml", openapi)
	r.Group(func(r chi.Router) {
		r.Use(noStore, a.deadline, a.authenticate, a.withinQuota, a.inTurn, a.parseQuery, a.prefer)
		read, write, admin := r.With(a.need(keys.Read)), r.With(a.need(keys.Write)), r.With(a.need(keys.Admin))
		write.Post("/v1/sessions", a.handle(a.create))
		admin.Get("/v1/sessions", a.handle(a.walk))
		read.Post("/v1/sessions:batchGet", a.handle(a.batchGet))
		write.Post("/v1/sessions:batchDelete", a.handle(a.batchDelete))
		read.Get("/v1/users/{user}/sessions", a.handle(a.list))
		write.Delete("/v1/users/{user}/sessions", a.handle(a.revokeUser))
		write.Delete("/v1/users/{user}/sessions/{handle}", a.handle(a.revokeHandle))
		a.routeSession(read, write, "/v1/sessions/{id}")
		a.routeSession(read, write, "/v1/session") // with the ID in the Session-ID header
	})
	return r, ops
}

// newRouter returns a router without routes, for requests to these hosts.
func (a *api) newRouter(hosts []string) chi.Router {
	r := chi.NewRouter()
	r.Use(a.observe, a.recoverPanics, secure, a.probes, a.ownOrigin(hosts))
	r.NotFound(a.noRoute)
	r.MethodNotAllowed(a.wrongMethod)
	return r
}

// routeSession adds the calls on one session.
func (a *api) routeSession(read, write chi.Router, path string) {
	read.Get(path, a.handle(a.get))
	read.Head(path, a.handle(a.get))
	write.Put(path, a.handle(a.put))
	write.Patch(path, a.handle(a.patch))
	write.Delete(path, a.handle(a.delete))
	write.Post(path+"/touch", a.handle(a.touch))
	write.Post(path+"/rotate", a.handle(a.rotate))
}
