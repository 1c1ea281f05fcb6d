package httpapi

import (
	"net/http"
	"strings"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// grantOf returns what the caller may do.
func grantOf(r *http.Request) *keys.Grant { return &callOf(r).grant }

// tenantOf returns the tenant that the caller acts for.
func tenantOf(r *http.Request) *session.Tenant { return grantOf(r).Tenant }

// mayUse reports whether the caller has a scope.
func mayUse(r *http.Request, scope keys.Scope) bool { return grantOf(r).Scopes&scope != 0 }

// authenticate looks up the caller's grant by the bearer token (RFC 6750) or the client certificate, and limits the body before anything reads it.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant, ok := a.granted(r)
		c := callOf(r)
		c.key = grant.Key // of an expired key too
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sessiond"`)
			a.writeProblem(w, r, unauthorized, problem{})
			return
		}
		c.tenant, c.grant = grant.Tenant.Name(), grant
		if r.ContentLength > grant.MaxBody { // at once: a caller that expects 100-continue need not send it
			a.fail(w, r, &http.MaxBytesError{Limit: grant.MaxBody})
			return
		}
		if r.ContentLength != 0 {
			r.Body = http.MaxBytesReader(w, r.Body, grant.MaxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// granted is what the caller may do. A client certificate counts where there is no token.
func (a *api) granted(r *http.Request) (keys.Grant, bool) {
	if a.GrantOf != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.Header["Authorization"]) == 0 {
		return a.GrantOf(r.TLS.PeerCertificates[0])
	}
	return a.Grant(bearer(r))
}

// need lets a request through only if its key has the scope.
func (a *api) need(scope keys.Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !mayUse(r, scope) {
				a.writeProblem(w, r, forbidden, problem{})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bearer is the caller's token, or empty if there is none, or more than one.
func bearer(r *http.Request) string {
	header, _, err := single(r, "Authorization")
	if err != nil {
		return ""
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
