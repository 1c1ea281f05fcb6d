package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/audit"
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
	Pointer   string `json:"pointer,omitzero"` // where the body is wrong: a JSON pointer (RFC 6901)
	Offset    *int64 `json:"offset,omitzero"`  // the same place, in bytes from the start
	Limit     string `json:"limit,omitzero"`   // the largest accepted value
}

// A kind holds what all problems of one type have in common.
type kind struct {
	name      string
	status    int
	title     string
	retryable bool
}

var (
	malformedRequest = kind{"malformed-request", 400, "The request is malformed", false}
	malformedBody    = kind{"malformed-body", 400, "The request body is malformed", false}
	malformedID      = kind{"malformed-id", 400, "The session ID is malformed", false}
	unauthorized     = kind{"unauthorized", 401, "A valid API key is required", false}
	forbidden        = kind{"forbidden", 403, "The API key does not allow this call", false}
	foreignOrigin    = kind{"foreign-origin", 403, "A browser sent the request for another site", false}
	notFound         = kind{"not-found", 404, "The session does not exist", false}
	noSuchRoute      = kind{"no-such-route", 404, "This path does not exist", false}
	methodNotAllowed = kind{"method-not-allowed", 405, "This path does not support this method", false}
	slowBody         = kind{"body-too-slow", 408, "The request body came too slowly", true}
	tooManySessions  = kind{"too-many-sessions", 409, "The user has reached the session limit", false}
	contended        = kind{"contended", 409, "Too many concurrent writes to the session", true}
	revoked          = kind{"revoked", 410, "The session was revoked", false}
	cursorExpired    = kind{"cursor-expired", 410, "The cursor has expired", false}
	exists           = kind{"exists", 412, "The session already exists", false}
	versionMismatch  = kind{"version-mismatch", 412, "The session has a different version", false}
	bodyTooLarge     = kind{"body-too-large", 413, "The request body is too large", false}
	mediaType        = kind{"unsupported-media-type", 415, "The media type is not supported", false}
	foreignHost      = kind{"foreign-host", 421, "The service is not known by this name", false}
	ttlOutOfRange    = kind{"ttl-out-of-range", 422, "The TTL is out of range", false}
	invalidContent   = kind{"invalid-content", 422, "The content cannot be stored", false}
	foreignSlot      = kind{"id-not-for-user", 422, "The ID cannot be used for this user", false}
	keyReused        = kind{"idempotency-key-reused", 422, "The Idempotency-Key was used for another write", false}
	internal         = kind{"internal", 500, "Internal error", false}
	unavailable      = kind{"unavailable", 503, "The store is unavailable; nothing was applied", true}
	overloaded       = kind{"overloaded", 503, "The service is overloaded; nothing was applied", true}
	rateLimited      = kind{"rate-limited", 429, "The tenant sends too many requests; nothing was applied", true}
	tooManyInFlight  = kind{"too-many-in-flight", 429, "The tenant has too many requests in progress; nothing was applied", true}
	quotaExceeded    = kind{"quota-exceeded", 429, "The tenant has too many sessions; nothing was applied", true}
	answerFull       = kind{"answer-full", 503, "The answer is full without this session", true}
	auditUnavailable = kind{"audit-unavailable", 503, "The audit log cannot be written; nothing was applied", true}
	outcomeUnknown   = kind{"outcome-unknown", 503, "It is unknown whether the write was applied", true}
	storeFull        = kind{"store-full", 507, "The store is full; nothing was applied", true}
)

// meanings maps an error to a kind of problem. An error that is not listed is internal, and its text is not shown.
var meanings = []struct {
	err  error
	kind kind
}{
	{session.ErrNotFound, notFound}, // before ErrMalformedID, which it may wrap
	{session.ErrMalformedID, malformedID},
	{session.ErrExists, exists},
	{session.ErrRevoked, revoked},
	{session.ErrConflict, versionMismatch},
	{session.ErrContended, contended},
	{session.ErrForeignSlot, foreignSlot},
	{session.ErrKeyReused, keyReused},
	{session.ErrLimit, tooManySessions},
	{session.ErrCursorExpired, cursorExpired},
	{errAnswerFull, answerFull},
	{errSlowBody, slowBody},
	{audit.ErrUnavailable, auditUnavailable},
	{cluster.ErrOutcomeUnknown, outcomeUnknown}, // before ErrUnavailable, which promises that nothing was applied
	{cluster.ErrOverloaded, overloaded},
	{cluster.ErrUnavailable, unavailable},
	{cluster.ErrFull, storeFull},
}

// explain turns an error into a problem. The detail never quotes an ID.
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
	if e, ok := errors.AsType[*quotaError](err); ok {
		return e.kind, problem{Detail: e.Error(), Limit: strconv.FormatInt(e.limit, 10)}
	}
	if errors.Is(err, session.ErrBadCursor) {
		return malformedRequest, problem{Detail: "query parameter cursor was not returned by this list"}
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.kind, problem{Detail: details[m.kind.name]}
		}
	}
	return internal, problem{}
}

// details explain what the title alone does not.
var details = map[string]string{
	malformedID.name:    "an ID consists of 22 to 128 characters from A-Z a-z 0-9 - . _ ~",
	foreignSlot.name:    "a session with a user is stored in the slot of that user's other sessions, so its ID must be in the issued format and carry the user's tag: see docs/ids.md",
	keyReused.name:      "one of the session's last four writes had this Idempotency-Key and another body: give each write a key of its own",
	answerFull.name:     "ask for it in another request",
	outcomeUnknown.name: "the write is safe to repeat if the caller chose the ID, or with If-Match or an Idempotency-Key",
	cursorExpired.name:  "the cluster's masters have changed since the walk began: start again without a cursor",
}

// fail answers with the problem document of an error.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	k, p := explain(err)
	e := callOf(r)
	e.problem, e.err = k.name, err
	if q, ok := errors.AsType[*quotaError](err); ok {
		a.tellRefusal(w.Header(), r, q)
	}
	a.writeProblem(w, r, k, p)
}

func (a *api) writeProblem(w http.ResponseWriter, r *http.Request, k kind, p problem) {
	a.auditRefusal(r, k)
	if r.Context().Err() == context.Canceled && k != slowBody { // net/http takes a body that comes too slowly for a lost connection
		k.status = statusClientGone // nobody reads the answer
	}
	body := a.encodeProblem(r, k, p)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store") // the path may hold an ID, even one that leads nowhere
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
	p.RequestID = callOf(r).requestID
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
