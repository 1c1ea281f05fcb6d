package httpapi

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/sessiond/sessiond/internal/session"
)

func (a *api) create(w http.ResponseWriter, r *http.Request) {
	var body createBody
	if err := readJSON(r, &body, emptyAllowed); err != nil {
		a.fail(w, r, err)
		return
	}
	ref := a.Tenant.NewRef(body.User)
	s, err := a.Store.Create(r.Context(), ref, body.session())
	if err == nil {
		w.Header().Set("Location", "/v1/sessions/"+ref.ID())
	}
	a.answerCreated(w, r, s, err)
}

// put replaces a session, or creates one where the caller says that none may be.
func (a *api) put(w http.ResponseWriter, r *http.Request) {
	only, err := createOnly(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if only {
		a.createAt(w, r)
	} else {
		a.replace(w, r)
	}
}

func (a *api) createAt(w http.ResponseWriter, r *http.Request) {
	ref, err := a.ref(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body createBody
	if err := readJSON(r, &body); err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Create(r.Context(), ref, body.session())
	a.answerCreated(w, r, s, err)
}

func (a *api) replace(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body replaceBody
	if err := readJSON(r, &body); err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Replace(r.Context(), ref, body.content(), body.ttl(), guard)
	a.answer(w, r, s, err)
}

func (a *api) get(w http.ResponseWriter, r *http.Request) {
	ref, _, err := a.existing(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Get(r.Context(), ref)
	if err == nil && notModified(r, s.Stamp()) {
		w.Header().Set("ETag", etag(s.Stamp()))
		w.WriteHeader(http.StatusNotModified)
		return
	}
	a.answer(w, r, s, err)
}

func (a *api) patch(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body patchBody
	if err := readJSON(r, &body, mergePatch); err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Patch(r.Context(), ref, session.Patch(body), guard)
	a.answer(w, r, s, err)
}

func (a *api) touch(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var body touchBody
	if err := readJSON(r, &body, emptyAllowed); err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Touch(r.Context(), ref, body.ttl(), guard)
	a.answer(w, r, s, err)
}

func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r)
	if isMalformedID(err) {
		w.WriteHeader(http.StatusNoContent) // it cannot be there
		return
	}
	if err == nil {
		err = a.Store.Delete(r.Context(), ref, guard)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// existing reads what all calls on a stored session have in common. A malformed ID is an absent session.
func (a *api) existing(r *http.Request) (session.Ref, session.Guard, error) {
	guard, err := ifMatch(r)
	if err != nil {
		return session.Ref{}, session.Guard{}, err
	}
	ref, err := a.ref(r)
	if isMalformedID(err) {
		err = fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	return ref, guard, err
}

// ref is the session that the path or the Session-ID header names.
func (a *api) ref(r *http.Request) (session.Ref, error) {
	id := chi.URLParam(r, "id")
	if id == "" {
		if id = r.Header.Get("Session-ID"); id == "" {
			return session.Ref{}, badRequest("the header Session-ID is missing")
		}
	} else if plain, err := url.PathUnescape(id); err == nil {
		id = plain // chi matches the escaped path where there is one
	}
	ref, err := a.Tenant.ParseRef(id)
	if err == nil {
		eventOf(r).handle = ref.Handle()
	}
	return ref, err
}
