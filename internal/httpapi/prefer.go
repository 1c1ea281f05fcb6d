package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// preferences are those of a request that the service knows (RFC 7240).
type preferences struct {
	minimal bool // return=minimal: the caller wants no body
	terms   session.Terms
}

// preferencesOf are none until the header was read: a problem came first, or the route has no preferences.
func preferencesOf(r *http.Request) *preferences { return &callOf(r).preferences }

// termsOf are what the request asks of the store, for all calls that it makes.
func termsOf(r *http.Request) *session.Terms { return &preferencesOf(r).terms }

// prefer reads the header Prefer and passes it on to the store. Unknown preferences are ignored, as the RFC requires. An
// unknown value of a known preference is refused: the caller would take it as applied.
func (a *api) prefer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r)
		if lines := r.Header["Prefer"]; len(lines) > 0 {
			if err := c.preferences.read(lines); err != nil {
				a.fail(w, r, err)
				return
			}
		}
		terms := &c.preferences.terms
		terms.Owner, terms.Weight = c.tenant, c.grant.Quota.Weight
		if c.place != nil {
			terms.Waits = c.place.leave
		}
		next.ServeHTTP(w, r)
	})
}

// read takes the lines of the header.
func (p *preferences) read(lines []string) error {
	seen := map[string]bool{}
	for _, line := range lines {
		preferences, ok := splitUnquoted(line, ',')
		if !ok {
			return badRequest("header Prefer has a quote that does not end")
		}
		for _, preference := range preferences {
			parts, _ := splitUnquoted(preference, ';')
			name, value, _ := strings.Cut(parts[0], "=")
			name, value = strings.ToLower(strings.TrimSpace(name)), unquote(strings.TrimSpace(value))
			if seen[name] { // the first one counts (RFC 7240, section 2)
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
					return badRequest("Prefer: durability must be async, replicated or strict")
				}
			case "read":
				switch value {
				case "master":
					p.terms.MasterOnly = true
				case "stale":
					p.terms.AllowStale = true
				default:
					return badRequest("Prefer: read must be master or stale")
				}
			}
		}
	}
	return nil
}

// splitUnquoted splits at the separators that are outside of quoted strings (RFC 9110, section 5.6.4). It returns false if
// the last quoted string does not end.
func splitUnquoted(s string, separator byte) (parts []string, ok bool) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++ // what follows is no quote
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:]), !quoted
}

// unquote returns the text of a quoted string, and anything else as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	text := make([]byte, 0, len(s))
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		text = append(text, s[i])
	}
	return string(text)
}

// tellOutcome sets the headers that say which preferences were applied. Two facts it states even unasked: that a replica
// answered, and that a write has only one copy.
func tellOutcome(w http.ResponseWriter, r *http.Request, minimal bool) {
	p := preferencesOf(r)
	var applied []string
	if minimal {
		applied = append(applied, "return=minimal")
	}
	if achieved := p.terms.Achieved(); achieved != "" && (p.terms.Durability != "" || achieved == cluster.Single) {
		applied = append(applied, "durability="+string(promised(p.terms.Durability, achieved)))
	}
	switch {
	case !isRead(r):
	case p.terms.MasterOnly:
		applied = append(applied, "read=master")
	case p.terms.AllowStale:
		applied = append(applied, "read=stale")
	}
	if len(applied) > 0 {
		w.Header().Set("Preference-Applied", strings.Join(applied, ", "))
	}
	tellSource(w, r)
}

// tellSource says if a replica answered a read, even if that answer is that the session does not exist; and if that answer
// may lack acknowledged writes, how many seconds ago the replica had them all for sure.
func tellSource(w http.ResponseWriter, r *http.Request) {
	terms := termsOf(r)
	if !terms.FromReplica() || !isRead(r) {
		return
	}
	source := "replica"
	if age, stale := terms.Stale(); stale {
		source += fmt.Sprintf("; stale; age=%.3f", age.Seconds())
	}
	w.Header().Set("Session-Source", source)
}

// promised names the preference that was applied. Strict is reported as strict, though the cluster reports replicated.
func promised(asked, achieved cluster.Durability) cluster.Durability {
	if asked == cluster.Strict && achieved == cluster.Replicated {
		return cluster.Strict
	}
	return achieved
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, ":batchGet")
}
