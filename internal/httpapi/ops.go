package httpapi

import (
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"

	"github.com/sessiond/sessiond/internal/keys"
)

// OpsAccess says who may see how the service and its cluster are: the metrics, /v1/cluster and its events, the live page, and
// why the service is ready or not. Whether it is ready, everybody may see.
type OpsAccess int

const (
	OpsOpen  OpsAccess = iota // everybody
	OpsByKey                  // who has a key with the scope ops
	OpsApart                  // everybody, at a handler of its own, and nobody at the service's
)

// routeHealth adds what tells probes how the service is, and operators as far as they may see it here.
func (a *api) routeHealth(r chi.Router) {
	r.Get("/livez", a.livez)
	queried := r.With(a.parseQuery)
	switch a.Ops {
	case OpsOpen:
		queried.Get("/readyz", a.readyz)
		a.routeOps(r)
	case OpsByKey:
		operator := chi.Chain(a.authenticate, a.need(keys.Ops))
		queried.Get("/readyz", a.readyzFor(operator.HandlerFunc(a.readyz)))
		a.routeOps(r.With(operator...))
	case OpsApart:
		queried.Get("/readyz", a.readyzFor(http.HandlerFunc(a.noRoute)))
	}
}

// routeOps adds what is for operators only.
func (a *api) routeOps(r chi.Router) {
	r.Handle("/metrics", a.scrapes())
	r.With(noStore, a.parseQuery).Get("/v1/cluster", a.handle(a.cluster))
	r.With(noStore, a.parseQuery).Get("/v1/cluster/events", a.handle(a.events))
	if a.Page {
		a.routePage(r)
	}
}

// newOps is the handler of operations where they are apart.
func (a *api) newOps() http.Handler {
	r := a.newRouter(a.OpsHosts)
	r.Get("/livez", a.livez)
	r.With(a.parseQuery).Get("/readyz", a.readyz)
	a.routeOps(r)
	if a.Profiles {
		routeProfiles(r)
	}
	return r
}

// readyzFor tells whether the service is ready. Whoever asks for more, or has a key for it, is answered by detailed.
func (a *api) readyzFor(detailed http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if queryOf(r).Has("verbose") || a.Ops == OpsByKey && a.isOperator(r) {
			detailed.ServeHTTP(w, r)
			return
		}
		writeReadiness(w, readiness{Status: a.readiness(r).Status})
	}
}

// isOperator reports whether the caller has a key with the scope ops. It refuses nobody.
func (a *api) isOperator(r *http.Request) bool {
	grant, ok := a.granted(r)
	return ok && grant.Scopes&keys.Ops != 0
}

// routeProfiles adds the profiles of the process. The command line is not among them: it may hold a password.
func routeProfiles(r chi.Router) {
	r.HandleFunc("/debug/pprof/*", pprof.Index)
	r.HandleFunc("/debug/pprof/profile", pprof.Profile)
	r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
}
