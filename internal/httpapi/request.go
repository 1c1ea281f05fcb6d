package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/sessiond/sessiond/internal/session"
)

// The sessions in one page of a list.
const (
	defaultPage = 100
	maxPage     = 500
)

// parseQuery parses the query once, for all that read it, and refuses one that is malformed. [url.URL.Query] would drop the
// malformed part silently: "?except=HANDLE%zz" would log the caller out as well.
func (a *api) parseQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			query, err := url.ParseQuery(r.URL.RawQuery)
			if err != nil { // not quoted: the query may hold a credential by mistake
				a.fail(w, r, badRequest("the query is malformed: parameters are separated by \"&\", and \"%\" begins an escape of two hexadecimal digits"))
				return
			}
			callOf(r).query = query
		}
		next.ServeHTTP(w, r)
	})
}

// queryOf is the query that parseQuery parsed.
func queryOf(r *http.Request) url.Values { return callOf(r).query }

// checkQuery refuses unknown and repeated parameters. Otherwise a misspelt one would be ignored silently.
func checkQuery(r *http.Request, known ...string) error {
	for name, values := range queryOf(r) {
		if !slices.Contains(known, name) {
			return badRequest("query parameter " + strconv.Quote(name) + " is unknown")
		}
		if len(values) > 1 {
			return badRequest("query parameter " + name + " is given more than once")
		}
	}
	return nil
}

// sessionIDHeader is Session-ID as [http.Header] has it.
const sessionIDHeader = "Session-Id"

// refuseHeaders refuses conditions and keys that a call does not support. To ignore a condition is to do what it forbids.
func refuseHeaders(r *http.Request, names ...string) error {
	for _, name := range names {
		if len(r.Header[name]) > 0 {
			return badRequest("this call does not accept the header " + name)
		}
	}
	return nil
}

// single reads a header that has one value. The name must be canonical. It refuses a second one: each of two readers of the request, this service and
// a proxy before it, may take another one for the value.
func single(r *http.Request, name string) (value string, given bool, err error) {
	switch values := r.Header[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", true, badRequest("header " + spelt(name) + " is given more than once")
}

// spelt is the name of a header as the documents spell it.
func spelt(name string) string {
	switch name {
	case sessionIDHeader:
		return "Session-ID"
	case "Last-Event-Id":
		return "Last-Event-ID"
	}
	return name
}

// plainCall checks a call that supports no conditions, no key, and only the known query parameters.
func plainCall(r *http.Request, known ...string) error {
	if err := refuseHeaders(r, "If-Match", "If-None-Match", "Idempotency-Key"); err != nil {
		return err
	}
	return checkQuery(r, known...)
}

// queryBool reads a parameter that is true or false; missing is its value if it is not given.
func queryBool(r *http.Request, name string, missing bool) (bool, error) {
	switch queryOf(r).Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
		if !queryOf(r).Has(name) {
			return missing, nil
		}
	}
	return false, badRequest("query parameter " + name + " must be true or false")
}

// queryPage reads limit and cursor, the only parameters of a list.
func queryPage(r *http.Request) (cursor string, limit int, err error) {
	if err := plainCall(r, "cursor", "limit"); err != nil {
		return "", 0, err
	}
	limit = defaultPage
	if text := queryOf(r).Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return "", 0, badRequest("query parameter limit must be a number from 1 to " + strconv.Itoa(maxPage))
		}
	}
	return queryOf(r).Get("cursor"), limit, nil
}

// writeKey reads Idempotency-Key, which names a write. It is empty if the header is missing.
func writeKey(r *http.Request) (session.WriteKey, error) {
	key, given, err := single(r, "Idempotency-Key")
	if err == nil && given && (key == "" || len(key) > 255) {
		err = badRequest("header Idempotency-Key must have 1 to 255 characters")
	}
	return session.WriteKey(key), err
}

// readWrite reads what every write with a body to a stored session has: the session, the condition, the key, the body.
func readWrite(r *http.Request, body any, query []string, rules ...bodyRule) (session.Ref, session.Write, error) {
	var w session.Write
	ref, guard, err := existing(r, query...)
	if err != nil {
		return ref, w, err
	}
	w.Guard = guard
	if w.Key, err = writeKey(r); err != nil {
		return ref, w, err
	}
	return ref, w, readJSON(r, body, rules...)
}

// existing reads what every call on a stored session has: the session and the condition. A malformed ID is ErrNotFound,
// since no session can have it.
func existing(r *http.Request, query ...string) (session.Ref, session.Guard, error) {
	if err := checkQuery(r, query...); err != nil {
		return session.Ref{}, session.Guard{}, err
	}
	if err := noStrayConditions(r); err != nil {
		return session.Ref{}, session.Guard{}, err
	}
	guard, err := ifMatch(r)
	if err != nil {
		return session.Ref{}, session.Guard{}, err
	}
	ref, err := refOf(r)
	if isMalformedID(err) {
		err = fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	return ref, guard, err
}

// refOf returns the session that the path or the Session-ID header names.
func refOf(r *http.Request) (session.Ref, error) {
	id := pathParam(r, "id")
	if id == "" {
		header, _, err := single(r, sessionIDHeader)
		if err == nil && header == "" {
			err = badRequest("header Session-ID is missing")
		}
		if err != nil {
			return session.Ref{}, err
		}
		id = header
	}
	ref, err := tenantOf(r).ParseRef(id)
	if err == nil {
		callOf(r).handle = ref.Handle.String()
	}
	return ref, err
}

// pathParam returns a parameter of the path, unescaped. chi matches the escaped path only if the request has one that
// differs from the plain path (URL.RawPath).
func pathParam(r *http.Request, name string) string {
	value := chi.URLParam(r, name)
	if r.URL.RawPath != "" {
		if plain, err := url.PathUnescape(value); err == nil {
			return plain
		}
	}
	return value
}
