package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/sessiond/sessiond/internal/session"
)

// A Scope is a set of things that a caller may do.
type Scope uint8

const (
	Read  Scope = 1 << iota // read and list sessions
	Write                   // create, change and revoke them
	Admin                   // walk all of a tenant's
)

// A Grant is what a caller may do, and to whose sessions.
type Grant struct {
	Tenant  *session.Tenant
	Scopes  Scope
	MaxBody int64 // bytes of a request's body
}

type grantKey struct{}

// tenantOf is the tenant that the caller acts for.
func tenantOf(r *http.Request) *session.Tenant {
	return r.Context().Value(grantKey{}).(Grant).Tenant
}

// authenticate finds the caller's grant by the bearer token (RFC 6750), and caps the body by it before anything is read.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		grant, ok := a.Grant(bearer(r))
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sessiond"`)
			a.writeProblem(w, r, unauthorized, problem{})
			return
		}
		eventOf(r).tenant = grant.Tenant.Name()
		r = r.WithContext(context.WithValue(r.Context(), grantKey{}, grant))
		r.Body = http.MaxBytesReader(w, r.Body, grant.MaxBody)
		next.ServeHTTP(w, r)
	})
}

// need lets through who has the scope.
func (a *api) need(scope Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(grantKey{}).(Grant).Scopes&scope == 0 {
				a.writeProblem(w, r, forbidden, problem{})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
