package httpapi

import (
	"errors"
	"net/http"

	"github.com/sessiond/sessiond/internal/session"
)

func (a *api) create(r *http.Request) (answer, error) {
	body, err := readCreate(r)
	if err != nil {
		return answer{}, err
	}
	if err := a.mayAdd(r); err != nil {
		return answer{}, err
	}
	ref := tenantOf(r).NewRef(body.user())
	s, err := a.Store.Create(r.Context(), termsOf(r), ref, body.session(), "")
	if err != nil {
		return answer{}, err
	}
	ans, err := newIDAnswer(r, http.StatusCreated, ref, s)
	ans.location = "/v1/sessions/" + ref.ID()
	return ans, err
}

// readCreate reads a create under an ID that the service issues. No condition can hold for a session that has no ID yet.
func readCreate(r *http.Request) (createBody, error) {
	var body createBody
	if err := checkQuery(r); err != nil {
		return body, err
	}
	if err := refuseHeaders(r, "If-Match", "If-None-Match"); err != nil {
		return body, err
	}
	if len(r.Header["Idempotency-Key"]) > 0 {
		return body, badRequest("POST does not accept Idempotency-Key, since it issues a new ID each time: to make a create repeatable, choose the ID and send PUT with If-None-Match: *")
	}
	err := readJSON(r, &body, emptyAllowed)
	return body, err
}

// put replaces a session. With If-None-Match: * it creates one instead; with ?upsert=true it does either.
func (a *api) put(r *http.Request) (answer, error) {
	only, err := createOnly(r)
	if err != nil {
		return answer{}, err
	}
	upsert, err := queryBool(r, "upsert", false)
	if err != nil {
		return answer{}, err
	}
	switch {
	case only && upsert:
		return answer{}, badRequest("If-None-Match: * cannot be combined with upsert=true")
	case only:
		return a.createAt(r)
	case upsert:
		return a.upsert(r)
	}
	return a.replace(r)
}

// createAt creates a session at an ID that the caller chose.
func (a *api) createAt(r *http.Request) (answer, error) {
	ref, err := refOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := checkQuery(r, "upsert"); err != nil {
		return answer{}, err
	}
	key, err := writeKey(r)
	if err != nil {
		return answer{}, err
	}
	var body createBody
	if err := readJSON(r, &body); err != nil {
		return answer{}, err
	}
	if full := a.mayAdd(r); full != nil { // what exists may still be told, to one who repeats a create too
		_, err := a.Store.Peek(r.Context(), termsOf(r), ref)
		if errors.Is(err, session.ErrNotFound) {
			err = full
		}
		if err != nil {
			return answer{}, err
		}
	}
	s, err := a.Store.Create(r.Context(), termsOf(r), ref, body.session(), key)
	if err != nil {
		return answer{}, err
	}
	return newIDAnswer(r, http.StatusCreated, ref, s)
}

func (a *api) replace(r *http.Request) (answer, error) {
	var body replaceBody
	ref, write, err := readWrite(r, &body, []string{"upsert"})
	if err != nil {
		return answer{}, err
	}
	s, err := a.Store.Replace(r.Context(), termsOf(r), ref, body.content(), body.ttl(), write)
	if err != nil {
		return answer{}, err
	}
	return sessionAnswer(r, s)
}

func (a *api) upsert(r *http.Request) (answer, error) {
	var body replaceBody
	ref, write, err := readWrite(r, &body, []string{"upsert"})
	if isMalformedID(err) {
		return answer{}, session.ErrMalformedID // an upsert would create the session, so the ID is an error and not just absent
	}
	if err != nil {
		return answer{}, err
	}
	var full error
	if !write.Guard.Set && !write.Guard.Exists { // otherwise it adds none
		full = a.mayAdd(r)
	}
	if full != nil {
		write.Guard.Exists = true // what exists may still be replaced
	}
	s, err := a.Store.Upsert(r.Context(), termsOf(r), ref, body.content(), body.ttl(), write)
	if full != nil && errors.Is(err, session.ErrNotFound) {
		err = full
	}
	if err != nil {
		return answer{}, err
	}
	if s.Version == 1 { // it was created: a replace would have made it 2 or more
		return newIDAnswer(r, http.StatusCreated, ref, s)
	}
	return sessionAnswer(r, s)
}

// get serves HEAD too, which does not slide the idle deadline.
func (a *api) get(r *http.Request) (answer, error) {
	ref, guard, err := existing(r, "touch")
	if err != nil {
		return answer{}, err
	}
	slide, err := queryBool(r, "touch", true)
	if err != nil {
		return answer{}, err
	}
	read := a.Store.Peek
	if slide && r.Method != http.MethodHead {
		read = a.Store.Get
	}
	s, err := read(r.Context(), termsOf(r), ref)
	if err != nil {
		return answer{}, err
	}
	if !guard.Admits(s.Stamp()) {
		return answer{}, session.ErrConflict
	}
	known, err := notModified(r, s.Stamp())
	if err != nil {
		return answer{}, err
	}
	if known {
		return answer{status: http.StatusNotModified, etag: etag(s.Stamp())}, nil
	}
	return sessionAnswer(r, s)
}

func (a *api) patch(r *http.Request) (answer, error) {
	var body patchBody
	ref, write, err := readWrite(r, &body, nil, mergePatch)
	if err != nil {
		return answer{}, err
	}
	s, err := a.Store.Patch(r.Context(), termsOf(r), ref, body.patch(), write)
	if err != nil {
		return answer{}, err
	}
	return sessionAnswer(r, s)
}

func (a *api) touch(r *http.Request) (answer, error) {
	var body touchBody
	ref, write, err := readWrite(r, &body, nil, emptyAllowed)
	if err != nil {
		return answer{}, err
	}
	if write.Key != "" {
		return answer{}, badRequest("a touch does not accept Idempotency-Key: to repeat it does no harm")
	}
	s, err := a.Store.Touch(r.Context(), termsOf(r), ref, body.ttl(), write.Guard)
	if err != nil {
		return answer{}, err
	}
	return sessionAnswer(r, s)
}

func (a *api) rotate(r *http.Request) (answer, error) {
	body := rotateBody{Grace: grace{session.DefaultGrace}}
	ref, write, err := readWrite(r, &body, nil, emptyAllowed)
	if err != nil {
		return answer{}, err
	}
	if write.Key != "" {
		return answer{}, badRequest("a rotation does not accept Idempotency-Key: within the grace, rotating the old ID again returns the same new ID")
	}
	s, next, err := a.Store.Rotate(r.Context(), termsOf(r), ref, body.rotation(), write)
	if err != nil {
		return answer{}, err
	}
	return newIDAnswer(r, http.StatusOK, next, s)
}

func (a *api) delete(r *http.Request) (answer, error) {
	ref, d, err := readDeletion(r)
	if isMalformedID(err) {
		return noContent, nil // no session can have this ID
	}
	if err != nil {
		return answer{}, err
	}
	if err := a.Store.Delete(r.Context(), termsOf(r), ref, d); err != nil {
		return answer{}, err
	}
	return noContent, nil
}

func readDeletion(r *http.Request) (session.Ref, session.Deletion, error) {
	var d session.Deletion
	ref, guard, err := existing(r, "forget")
	if err != nil {
		return ref, d, err
	}
	if d.Forget, err = queryBool(r, "forget", false); err != nil {
		return ref, d, err
	}
	d.Guard = guard
	d.Key, err = writeKey(r)
	return ref, d, err
}
