// Package httpapi is the service's HTTP side: routes, decoding, problem documents, middleware and the OpenAPI document.
// It knows nothing of Redis.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// Config is what the API needs. Every field must be set.
type Config struct {
	Store    session.Store
	Tenant   *session.Tenant                             // whose sessions are served
	Look     func(context.Context) (cluster.View, error) // the cluster's state, for /readyz
	MaxBody  int64                                       // bytes of a request's body
	Deadline time.Duration                               // of one request, from its arrival
	Log      *slog.Logger
	Metrics  *prometheus.Registry // where the API registers its collectors, and what /metrics shows
}

type api struct {
	Config
	metrics *metrics
}

// New builds the handler.
func New(cfg Config) http.Handler {
	a := &api{Config: cfg, metrics: newMetrics(cfg.Metrics)}
	r := chi.NewRouter()
	r.Use(a.observe, a.recoverPanics, secure)

	r.Get("/livez", a.livez)
	r.Get("/readyz", a.readyz)
	r.Get("/openapi.yaml", openapi)
	r.Handle("/metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}))

	r.Group(func(r chi.Router) {
		r.Use(noStore, a.deadline, a.limitBody)
		r.Post("/v1/sessions", a.create)
		a.routeSession(r, "/v1/sessions/{id}")
		a.routeSession(r, "/v1/session") // the ID stands in the Session-ID header
	})
	r.NotFound(a.noRoute)
	r.MethodNotAllowed(a.wrongMethod)
	return r
}

// routeSession adds what can be done to one session.
func (a *api) routeSession(r chi.Router, path string) {
	r.Get(path, a.get)
	r.Head(path, a.get)
	r.Put(path, a.put)
	r.Patch(path, a.patch)
	r.Delete(path, a.delete)
	r.Post(path+"/touch", a.touch)
}
