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

// checkQuery refuses parameters that the call does not know: one that is misspelt would be dropped silently.
func checkQuery(r *http.Request, known ...string) error {
	for name, values := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return badRequest("the query parameter " + strconv.Quote(name) + " is not known here")
		}
		if len(values) > 1 {
			return badRequest("the query parameter " + name + " stands there twice")
		}
	}
	return nil
}

// refuseHeaders refuses conditions and keys where a call does not heed them: to drop one is to do what it forbids.
func refuseHeaders(r *http.Request, names ...string) error {
	for _, name := range names {
		if len(r.Header.Values(name)) > 0 {
			return badRequest("this call takes no " + name)
		}
	}
	return nil
}

// plainCall refuses all of them, and every query parameter but the known.
func plainCall(r *http.Request, known ...string) error {
	if err := refuseHeaders(r, "If-Match", "If-None-Match", "Idempotency-Key"); err != nil {
		return err
	}
	return checkQuery(r, known...)
}

// queryBool reads true or false.
func queryBool(r *http.Request, name string, missing bool) (bool, error) {
	switch r.URL.Query().Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
		if !r.URL.Query().Has(name) {
			return missing, nil
		}
	}
	return false, badRequest("the query parameter " + name + " must be true or false")
}

// queryPage reads limit and cursor, the only parameters of a list.
func queryPage(r *http.Request) (cursor string, limit int, err error) {
	if err := plainCall(r, "cursor", "limit"); err != nil {
		return "", 0, err
	}
	limit = defaultPage
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return "", 0, badRequest("the query parameter limit must be a number from 1 to " + strconv.Itoa(maxPage))
		}
	}
	return r.URL.Query().Get("cursor"), limit, nil
}

// writeKey reads the caller's own name for a write.
func writeKey(r *http.Request) (session.WriteKey, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(r.Header.Values("Idempotency-Key")) > 0 && (key == "" || len(key) > 255) {
		return "", badRequest("the header Idempotency-Key must have 1 to 255 characters")
	}
	return session.WriteKey(key), nil
}

// readWrite reads what all writes with a body to a stored session have in common.
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

// existing reads what all calls on a stored session have in common. A malformed ID is an absent session.
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

// refOf is the session that the path or the Session-ID header names.
func refOf(r *http.Request) (session.Ref, error) {
	id := pathParam(r, "id")
	if id == "" {
		if id = r.Header.Get("Session-ID"); id == "" {
			return session.Ref{}, badRequest("the header Session-ID is missing")
		}
	}
	ref, err := tenantOf(r).ParseRef(id)
	if err == nil {
		eventOf(r).handle = ref.Handle.String()
	}
	return ref, err
}

// pathParam is a parameter of the path. chi matches the escaped path where escaping matters, the plain one elsewhere.
func pathParam(r *http.Request, name string) string {
	value := chi.URLParam(r, name)
	if r.URL.RawPath != "" {
		if plain, err := url.PathUnescape(value); err == nil {
			return plain
		}
	}
	return value
}
