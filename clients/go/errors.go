package sessiond

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What a call can fail with, besides a *[Problem] that is none of these.
var (
	ErrNotFound    = errors.New("sessiond: no such session")                            // it expired, was revoked, or never existed
	ErrExists      = errors.New("sessiond: the session exists")                         // a create found one at its ID
	ErrRevoked     = errors.New("sessiond: the session was revoked")                    // a create at an ID that was deleted in the last five minutes
	ErrConflict    = errors.New("sessiond: the session is at another version")          // If-Match
	ErrLimit       = errors.New("sessiond: the user has reached the limit of sessions") // and the tenant evicts none
	ErrQuota       = errors.New("sessiond: the tenant has taken what it may")           // 429; see Problem.RetryAfter
	ErrUnavailable = errors.New("sessiond: the store cannot be asked")                  // nothing was applied, and no session is known to have ended

	// ErrOutcomeUnknown means that a write may have taken effect. What it was about is to be read anew.
	ErrOutcomeUnknown = errors.New("sessiond: it is unknown whether the write took effect")
)

// A Problem is the service's description of a failure (RFC 9457). It matches the errors above by [errors.Is].
type Problem struct {
	Type      string `json:"type"` // stable, such as urn:sessiond:not-found
	Title     string `json:"title"`
	Status    int    `json:"status"` // of the HTTP answer
	Detail    string `json:"detail"`
	Retryable bool   `json:"retryable"` // the same request may succeed later
	RequestID string `json:"request_id"`
	Pointer   string `json:"pointer"` // where the body is wrong (RFC 6901)
	Limit     string `json:"limit"`   // the largest accepted value

	RetryAfter time.Duration `json:"-"` // 0 if the answer does not say
}

// newProblem reads an answer that is no success. One that comes from elsewhere, such as a proxy, has no type.
func newProblem(answer *http.Response, text []byte) *Problem {
	p := new(Problem)
	if json.Unmarshal(text, p) != nil {
		p = &Problem{}
	}
	p.Status = answer.StatusCode
	if p.Title == "" {
		p.Title = answer.Status
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// Kind is the type without its prefix, such as not-found; empty if the answer did not come from the service.
func (p *Problem) Kind() string {
	kind, ok := strings.CutPrefix(p.Type, "urn:sessiond:")
	if !ok {
		return ""
	}
	return kind
}

func (p *Problem) Error() string {
	text := "sessiond: " + p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return text
}

// Is matches the errors of this package.
func (p *Problem) Is(target error) bool {
	switch p.Kind() {
	case "not-found":
		return target == ErrNotFound
	case "exists":
		return target == ErrExists
	case "revoked":
		return target == ErrRevoked
	case "version-mismatch":
		return target == ErrConflict
	case "too-many-sessions":
		return target == ErrLimit
	case "rate-limited", "too-many-in-flight", "quota-exceeded":
		return target == ErrQuota
	case "outcome-unknown":
		return target == ErrOutcomeUnknown
	case "unavailable", "overloaded", "audit-unavailable", "answer-full", "store-full":
		return target == ErrUnavailable
	}
	return false
}

// unapplied reports whether the service says that the request had no effect.
func (p *Problem) unapplied() bool {
	switch p.Kind() {
	case "unavailable", "overloaded", "audit-unavailable":
		return true
	}
	return false
}
