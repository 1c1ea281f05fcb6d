package httpapi

import (
	"fmt"
	"net/http"

	"github.com/sessiond/sessiond/internal/session"
)

func (a *api) create(w http.ResponseWriter, r *http.Request) {
	var body createBody
	err := checkQuery(r)
	if err == nil {
		err = refuseHeaders(r, "If-Match", "If-None-Match")
	}
	if err == nil && len(r.Header.Values("Idempotency-Key")) > 0 {
		err = badRequest("POST makes a new ID each time: to repeat a create, choose the ID, with PUT and If-None-Match: *")
	}
	if err == nil {
		err = readJSON(r, &body, emptyAllowed)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ref := tenantOf(r).NewRef(body.user())
	s, err := a.Store.Create(r.Context(), termsOf(r), ref, body.session(), "")
	if err == nil {
		w.Header().Set("Location", "/v1/sessions/"+ref.ID())
	}
	a.answerWithID(w, r, http.StatusCreated, ref, s, err)
}

// put replaces a session; it creates one where the caller says that none may be, or with ?upsert=true.
func (a *api) put(w http.ResponseWriter, r *http.Request) {
	only, err := createOnly(r)
	upsert := false
	if err == nil {
		upsert, err = queryBool(r, "upsert", false)
	}
	if err == nil && only && upsert {
		err = badRequest("If-None-Match: * and upsert=true exclude each other")
	}
	switch {
	case err != nil:
		a.fail(w, r, err)
	case only:
		a.createAt(w, r)
	default:
		a.replace(w, r, upsert)
	}
}

func (a *api) createAt(w http.ResponseWriter, r *http.Request) {
	var body createBody
	ref, err := a.ref(r)
	var key session.WriteKey
	if err == nil {
		err = checkQuery(r, "upsert")
	}
	if err == nil {
		key, err = writeKey(r)
	}
	if err == nil {
		err = readJSON(r, &body)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Create(r.Context(), termsOf(r), ref, body.session(), key)
	a.answerWithID(w, r, http.StatusCreated, ref, s, err)
}

func (a *api) replace(w http.ResponseWriter, r *http.Request, upsert bool) {
	var body replaceBody
	ref, write, err := a.write(r, &body, []string{"upsert"})
	switch {
	case upsert && isMalformedID(err):
		a.fail(w, r, session.ErrMalformedID) // it would create: a malformed ID is not merely absent
	case err != nil:
		a.fail(w, r, err)
	case !upsert:
		s, err := a.Store.Replace(r.Context(), termsOf(r), ref, body.content(), body.ttl(), write)
		a.answer(w, r, s, err)
	default:
		s, err := a.Store.Upsert(r.Context(), termsOf(r), ref, body.content(), body.ttl(), write)
		if err == nil && s.Version == 1 { // replacing would have counted
			a.answerWithID(w, r, http.StatusCreated, ref, s, nil)
			return
		}
		a.answer(w, r, s, err)
	}
}

func (a *api) get(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r, "touch")
	slide := false
	if err == nil {
		slide, err = queryBool(r, "touch", true)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	read := a.Store.Peek
	if slide && r.Method != http.MethodHead {
		read = a.Store.Get
	}
	s, err := read(r.Context(), termsOf(r), ref)
	if err == nil && !guard.Admits(s.Stamp()) {
		err = session.ErrConflict
	}
	fresh := false
	if err == nil {
		fresh, err = notModified(r, s.Stamp())
	}
	if fresh {
		w.Header().Set("ETag", etag(s.Stamp()))
		tellOutcome(w, r, false)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	a.answer(w, r, s, err)
}

func (a *api) patch(w http.ResponseWriter, r *http.Request) {
	var body patchBody
	ref, write, err := a.write(r, &body, nil, mergePatch)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Patch(r.Context(), termsOf(r), ref, body.patch(), write)
	a.answer(w, r, s, err)
}

func (a *api) touch(w http.ResponseWriter, r *http.Request) {
	var body touchBody
	ref, write, err := a.write(r, &body, nil, emptyAllowed)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, err := a.Store.Touch(r.Context(), termsOf(r), ref, body.ttl(), write.Guard)
	a.answer(w, r, s, err)
}

func (a *api) rotate(w http.ResponseWriter, r *http.Request) {
	body := rotateBody{Grace: grace{session.DefaultGrace}}
	ref, write, err := a.write(r, &body, nil, emptyAllowed)
	if err == nil && write.Key != "" {
		err = badRequest("a rotation takes no Idempotency-Key: within the grace, the old ID gives the same successor again")
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s, next, err := a.Store.Rotate(r.Context(), termsOf(r), ref, session.Rotation{User: string(body.User), Grace: body.Grace.Duration}, write)
	a.answerWithID(w, r, http.StatusOK, next, s, err)
}

func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	ref, guard, err := a.existing(r, "forget")
	if isMalformedID(err) {
		a.answerNothing(w, r, nil) // it cannot be there
		return
	}
	var d session.Deletion
	if err == nil {
		d.Forget, err = queryBool(r, "forget", false)
	}
	if err == nil {
		d.Guard = guard
		d.Key, err = writeKey(r)
	}
	if err == nil {
		err = a.Store.Delete(r.Context(), termsOf(r), ref, d)
	}
	a.answerNothing(w, r, err)
}

// write reads what all writes with a body have in common.
func (a *api) write(r *http.Request, body any, query []string, rules ...bodyRule) (session.Ref, session.Write, error) {
	var w session.Write
	ref, guard, err := a.existing(r, query...)
	if err == nil {
		w.Guard = guard
		w.Key, err = writeKey(r)
	}
	if err == nil {
		err = readJSON(r, body, rules...)
	}
	return ref, w, err
}

// existing reads what all calls on a stored session have in common. A malformed ID is an absent session.
func (a *api) existing(r *http.Request, query ...string) (session.Ref, session.Guard, error) {
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
	ref, err := a.ref(r)
	if isMalformedID(err) {
		err = fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	return ref, guard, err
}

// ref is the session that the path or the Session-ID header names.
func (a *api) ref(r *http.Request) (session.Ref, error) {
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
