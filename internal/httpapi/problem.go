package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// A problem is a problem document (RFC 9457). docs/problems.md lists the types, which are stable.
type problem struct {
	Type      string `json:"type"` // "urn:sessiond:" and the kind
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitzero"`
	Retryable bool   `json:"retryable"` // whether the same request may succeed later
	RequestID string `json:"request_id"`
	Pointer   string `json:"pointer,omitzero"` // the wrong place in the body, a JSON pointer (RFC 6901)
	Offset    *int64 `json:"offset,omitzero"`  // the same in bytes
	Limit     string `json:"limit,omitzero"`   // the largest value that would have been accepted
}

// A kind is what all problems of one type have in common.
type kind struct {
	name      string
	status    int
	title     string
	retryable bool
}

var (
	malformedRequest = kind{"malformed-request", 400, "The request is malformed", false}
	malformedBody    = kind{"malformed-body", 400, "The body is not what this call takes", false}
	malformedID      = kind{"malformed-id", 400, "This cannot be a session's ID", false}
	unauthorized     = kind{"unauthorized", 401, "The call needs an API key", false}
	forbidden        = kind{"forbidden", 403, "The API key does not allow this call", false}
	notFound         = kind{"not-found", 404, "There is no such session", false}
	noSuchRoute      = kind{"no-such-route", 404, "There is nothing at this path", false}
	methodNotAllowed = kind{"method-not-allowed", 405, "This path does not take this method", false}
	tooManySessions  = kind{"too-many-sessions", 409, "The user has as many sessions as may be", false}
	contended        = kind{"contended", 409, "The session changes too fast", true}
	revoked          = kind{"revoked", 410, "The session was revoked", false}
	cursorExpired    = kind{"cursor-expired", 410, "The cluster has changed since the walk began", false}
	exists           = kind{"exists", 412, "The session exists already", false}
	versionMismatch  = kind{"version-mismatch", 412, "The session is at another version", false}
	bodyTooLarge     = kind{"body-too-large", 413, "The body is too large", false}
	mediaType        = kind{"unsupported-media-type", 415, "The body is of the wrong media type", false}
	ttlOutOfRange    = kind{"ttl-out-of-range", 422, "The TTL is not allowed", false}
	invalidContent   = kind{"invalid-content", 422, "The content cannot be stored", false}
	foreignSlot      = kind{"id-not-for-user", 422, "The ID cannot hold this user's session", false}
	idIsIssued       = kind{"id-is-issued", 422, "Upsert takes only a caller's own IDs", false}
	internal         = kind{"internal", 500, "The service failed", false}
	unavailable      = kind{"unavailable", 503, "The store is unavailable; nothing was applied", true}
	overloaded       = kind{"overloaded", 503, "Too much waits already; nothing was applied", true}
	outcomeUnknown   = kind{"outcome-unknown", 503, "Whether the write was applied is unknown", true}
	storeFull        = kind{"store-full", 507, "The store is full; nothing was applied", true}
)

// meanings turns an error into a kind of problem. What is not here is internal, and its text is not shown.
var meanings = []struct {
	err  error
	kind kind
}{
	{session.ErrNotFound, notFound}, // before the malformed ID, which may be its reason
	{session.ErrMalformedID, malformedID},
	{session.ErrExists, exists},
	{session.ErrRevoked, revoked},
	{session.ErrConflict, versionMismatch},
	{session.ErrContended, contended},
	{session.ErrForeignSlot, foreignSlot},
	{session.ErrIssuedID, idIsIssued},
	{session.ErrLimit, tooManySessions},
	{session.ErrCursorExpired, cursorExpired},
	{cluster.ErrOutcomeUnknown, outcomeUnknown}, // before the promise that nothing was applied
	{cluster.ErrOverloaded, overloaded},
	{cluster.ErrUnavailable, unavailable},
	{cluster.ErrFull, storeFull},
}

// explain is the problem that an error comes down to. Its detail never quotes an ID.
func explain(err error) (kind, problem) {
	if e, ok := errors.AsType[*requestError](err); ok {
		return malformedRequest, problem{Detail: e.Error()}
	}
	if e, ok := errors.AsType[*jsonError](err); ok {
		return malformedBody, problem{Detail: e.Error(), Pointer: e.Pointer, Offset: &e.Offset}
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge, problem{Limit: strconv.FormatInt(e.Limit, 10)}
	}
	if e, ok := errors.AsType[*mediaError](err); ok {
		return mediaType, problem{Detail: e.Error()}
	}
	if e, ok := errors.AsType[*session.TTLError](err); ok {
		p := problem{Detail: e.Error(), Pointer: "/" + e.Field}
		if e.Limit > 0 {
			p.Limit = formatTTL(e.Limit)
		}
		return ttlOutOfRange, p
	}
	if e, ok := errors.AsType[*session.ContentError](err); ok {
		p := problem{Detail: e.Error(), Pointer: "/" + e.Field}
		if e.Limit > 0 {
			p.Limit = strconv.Itoa(e.Limit)
		}
		return invalidContent, p
	}
	if errors.Is(err, session.ErrBadCursor) {
		return malformedRequest, problem{Detail: "the query parameter cursor is not one that this list returned"}
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.kind, problem{Detail: details[m.kind.name]}
		}
	}
	return internal, problem{}
}

// details help where the title alone leaves the caller wondering.
var details = map[string]string{
	malformedID.name:    "an ID has 22 to 128 characters of A-Z a-z 0-9 - . _ ~",
	foreignSlot.name:    "a session with a user lies in the slot of the user's other sessions, which only an ID in the issued format can name: see docs/ids.md",
	outcomeUnknown.name: "what makes the write repeatable makes it safe to send again: an ID of the caller's choice, If-Match, or an Idempotency-Key",
	cursorExpired.name:  "begin the walk again, without a cursor",
}

// fail answers with the problem document of an error.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	k, p := explain(err)
	e := eventOf(r)
	e.problem, e.err = k.name, err
	a.writeProblem(w, r, k, p)
}

func (a *api) writeProblem(w http.ResponseWriter, r *http.Request, k kind, p problem) {
	if r.Context().Err() == context.Canceled {
		k.status = statusClientGone // nobody reads it
	}
	body := a.encodeProblem(r, k, p)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store") // the path may hold an ID, wrong as it is
	tellSource(w, r)
	if k.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(k.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

func (a *api) encodeProblem(r *http.Request, k kind, p problem) []byte {
	a.metrics.problems.WithLabelValues(k.name).Inc()
	p.Type, p.Title, p.Status, p.Retryable = "urn:sessiond:"+k.name, k.title, k.status, k.retryable
	p.RequestID = eventOf(r).requestID
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // only strings and numbers
	}
	return body
}

// A requestError says what is wrong with a request outside its body.
type requestError struct{ why string }

func (e *requestError) Error() string { return e.why }

func badRequest(why string) error { return &requestError{why} }

func isMalformedID(err error) bool { return errors.Is(err, session.ErrMalformedID) }

func (a *api) noRoute(w http.ResponseWriter, r *http.Request) {
	a.writeProblem(w, r, noSuchRoute, problem{})
}
