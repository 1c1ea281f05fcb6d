package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// Preferences are what a caller prefers (RFC 7240), as far as the service knows it.
type preferences struct {
	minimal bool // return=minimal: an answer without a body
	terms   *session.Terms
}

type preferencesKey struct{}

func preferencesOf(r *http.Request) *preferences {
	if p, ok := r.Context().Value(preferencesKey{}).(*preferences); ok {
		return p
	}
	return &preferences{terms: new(session.Terms)} // a problem before the header was read
}

// termsOf are what the request asks of the store, for all calls that it makes.
func termsOf(r *http.Request) *session.Terms { return preferencesOf(r).terms }

// heed reads the header Prefer, and has the store act on it. Unknown preferences are ignored, as the RFC wants; an unknown
// value of a known one is refused, because to drop it is to promise what was not done.
func (a *api) heed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := readPreferences(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), preferencesKey{}, p)))
	})
}

func readPreferences(r *http.Request) (*preferences, error) {
	p := &preferences{terms: new(session.Terms)}
	seen := map[string]bool{}
	for _, line := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			token, _, _ := strings.Cut(preference, ";")
			name, value, _ := strings.Cut(token, "=")
			name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)
			if seen[name] { // of several, the first counts (RFC 7240, section 2)
				continue
			}
			seen[name] = true
			switch name {
			case "return":
				p.minimal = value == "minimal"
			case "durability":
				switch d := cluster.Durability(value); d {
				case cluster.Async, cluster.Replicated, cluster.Strict:
					p.terms.Durability = d
				default:
					return nil, badRequest("Prefer: durability must be async, replicated or strict")
				}
			case "read":
				if value != "master" {
					return nil, badRequest("Prefer: read must be master")
				}
				p.terms.MasterOnly = true
			}
		}
	}
	return p, nil
}

// tellOutcome says in the header what was made of the caller's preferences, and what the caller must know unasked: that
// a replica answered, or that a write has one copy only.
func tellOutcome(w http.ResponseWriter, r *http.Request, minimal bool) {
	p := preferencesOf(r)
	var applied []string
	if minimal {
		applied = append(applied, "return=minimal")
	}
	if achieved := p.terms.Achieved(); achieved != "" && (p.terms.Durability != "" || achieved == cluster.Single) {
		applied = append(applied, "durability="+string(promised(p.terms.Durability, achieved)))
	}
	if p.terms.MasterOnly && isRead(r) {
		applied = append(applied, "read=master")
	}
	if len(applied) > 0 {
		w.Header().Set("Preference-Applied", strings.Join(applied, ", "))
	}
	tellSource(w, r)
}

// tellSource says whether a replica answered a read, also where it knew of no session.
func tellSource(w http.ResponseWriter, r *http.Request) {
	if preferencesOf(r).terms.FromReplica() && isRead(r) {
		w.Header().Set("Session-Source", "replica")
	}
}

// promised names the preference that was applied: strict was, if it was asked for and achieved.
func promised(asked, achieved cluster.Durability) cluster.Durability {
	if asked == cluster.Strict && achieved == cluster.Replicated {
		return cluster.Strict
	}
	return achieved
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, ":batchGet")
}
