package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/session"
)

// page is one page of a list.
type page struct {
	Sessions    []jsontext.Value `json:"sessions"`
	NextCursor  string           `json:"next_cursor,omitzero"` // missing at the end
	Consistency string           `json:"consistency,omitzero"` // "weak" if sessions that come or go during the walk may be missed
}

// list lists a user's sessions.
func (a *api) list(r *http.Request) (answer, error) {
	cursor, limit, err := queryPage(r)
	if err != nil {
		return answer{}, err
	}
	sessions, next, err := a.Store.ListUser(r.Context(), termsOf(r), tenantOf(r), pathParam(r, "user"), cursor, limit)
	if err != nil {
		return answer{}, err
	}
	page := page{Sessions: make([]jsontext.Value, len(sessions)), NextCursor: next}
	for i, s := range sessions {
		if page.Sessions[i], err = encodeSession(s, ""); err != nil {
			return answer{}, err
		}
	}
	return jsonAnswer(page)
}

// A walk asks the nodes themselves and not for some keys, so it costs all tenants something.
const (
	maxWalks   = 8 // in progress on this instance
	maxWalksOf = 2 // of one tenant
)

// walk lists the handles of all of the tenant's sessions.
func (a *api) walk(r *http.Request) (answer, error) {
	cursor, limit, err := queryPage(r)
	if err != nil {
		return answer{}, err
	}
	leave, err := a.walks.take(tenantOf(r).Name())
	if errors.Is(err, errNoOwnSeat) {
		return answer{}, &quotaError{tooManyInFlight, quotaWalks, maxWalksOf, time.Second, concurrentRequests}
	}
	if err != nil {
		return answer{}, err
	}
	defer leave()
	var handles []session.Handle
	var next string
	err = a.audited(r, audit.Entry{Action: audit.Walk}, func() (string, error) {
		handles, next, err = a.Store.Walk(r.Context(), termsOf(r), tenantOf(r), cursor, limit)
		return count(len(handles), err)
	})
	if err != nil {
		return answer{}, err
	}
	page := page{Sessions: make([]jsontext.Value, len(handles)), NextCursor: next, Consistency: "weak"}
	for i, h := range handles {
		page.Sessions[i] = jsontext.Value(`{"handle":"` + h.String() + `"}`)
	}
	return jsonAnswer(page)
}

// count is how many sessions an act was about, for the audit log: nothing if it failed before the first.
func count(sessions int, err error) (detail string, _ error) {
	if sessions == 0 && err != nil {
		return "", err
	}
	return "sessions: " + strconv.Itoa(sessions), err
}

type revocation struct {
	Revoked int `json:"revoked"`
}

func (a *api) revokeUser(r *http.Request) (answer, error) {
	except, err := readExcept(r)
	if err != nil {
		return answer{}, err
	}
	what, n := audit.Entry{Action: audit.RevokeUser, User: pathParam(r, "user")}, 0
	if except != (session.Handle{}) {
		what.Session = except.String()
	}
	err = a.audited(r, what, func() (string, error) {
		n, err = a.Store.RevokeUser(r.Context(), termsOf(r), tenantOf(r), pathParam(r, "user"), except)
		return count(n, err)
	})
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(revocation{n})
}

// readExcept reads the handle of the session to spare; the zero handle spares none.
func readExcept(r *http.Request) (session.Handle, error) {
	if err := plainCall(r, "except"); err != nil {
		return session.Handle{}, err
	}
	if !queryOf(r).Has("except") {
		return session.Handle{}, nil
	}
	except, err := tenantOf(r).ParseHandle(queryOf(r).Get("except"))
	if err != nil {
		return session.Handle{}, badRequest("query parameter except is not the handle of a session")
	}
	return except, nil
}

func (a *api) revokeHandle(r *http.Request) (answer, error) {
	if err := plainCall(r); err != nil {
		return answer{}, err
	}
	handle, err := tenantOf(r).ParseHandle(pathParam(r, "handle"))
	if err != nil {
		return noContent, nil // no session can have this handle
	}
	callOf(r).handle = handle.String()
	what := audit.Entry{Action: audit.RevokeHandle, User: pathParam(r, "user"), Session: handle.String()}
	err = a.audited(r, what, func() (string, error) {
		return "", a.Store.RevokeHandle(r.Context(), termsOf(r), pathParam(r, "user"), handle)
	})
	if err != nil {
		return answer{}, err
	}
	return noContent, nil
}
