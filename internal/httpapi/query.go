package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/sessiond/sessiond/internal/session"
)

// The pages of lists and the size of batches.
const (
	defaultPage = 100
	maxPage     = 500
	maxBatch    = 500
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
