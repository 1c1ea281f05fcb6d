package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// What concerns many sessions at once.

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	cursor, limit, err := queryPage(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	sessions, next, err := a.Store.ListUser(r.Context(), termsOf(r), tenantOf(r), pathParam(r, "user"), cursor, limit)
	page := page{Sessions: make([]jsontext.Value, len(sessions)), NextCursor: next}
	for i := 0; err == nil && i < len(sessions); i++ {
		page.Sessions[i], err = encodeSession(sessions[i], "")
	}
	a.answerJSON(w, r, page, err)
}

// page is a part of a list.
type page struct {
	Sessions    []jsontext.Value `json:"sessions"`
	NextCursor  string           `json:"next_cursor,omitzero"` // missing at the end
	Consistency string           `json:"consistency,omitzero"` // "weak" where sessions that come and go may be missed
}

func (a *api) walk(w http.ResponseWriter, r *http.Request) {
	cursor, limit, err := queryPage(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	handles, next, err := a.Store.Walk(r.Context(), termsOf(r), tenantOf(r), cursor, limit)
	page := page{Sessions: make([]jsontext.Value, len(handles)), NextCursor: next, Consistency: "weak"}
	for i, h := range handles {
		page.Sessions[i] = jsontext.Value(`{"handle":"` + h.String() + `"}`)
	}
	a.answerJSON(w, r, page, err)
}

func (a *api) revokeUser(w http.ResponseWriter, r *http.Request) {
	var except session.Handle
	err := plainCall(r, "except")
	if text := r.URL.Query().Get("except"); err == nil && r.URL.Query().Has("except") {
		if except, err = tenantOf(r).ParseHandle(text); err != nil {
			err = badRequest("the query parameter except is not a session's handle")
		}
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	n, err := a.Store.RevokeUser(r.Context(), termsOf(r), tenantOf(r), pathParam(r, "user"), except)
	a.answerJSON(w, r, revocation{n}, err)
}

type revocation struct {
	Revoked int `json:"revoked"`
}

func (a *api) revokeHandle(w http.ResponseWriter, r *http.Request) {
	err := plainCall(r)
	if err == nil {
		handle, malformed := tenantOf(r).ParseHandle(pathParam(r, "handle"))
		if malformed == nil { // otherwise it cannot be there
			eventOf(r).handle = handle.String()
			err = a.Store.RevokeHandle(r.Context(), termsOf(r), pathParam(r, "user"), handle)
		}
	}
	a.answerNothing(w, r, err)
}

// batchBody is the body of both batch calls.
type batchBody struct {
	IDs []string `json:"ids"`
}

// batchResults is their answer: a session or a problem document for each ID, in the same order.
type batchResults struct {
	Results []jsontext.Value `json:"results"`
}

func (a *api) batchGet(w http.ResponseWriter, r *http.Request) {
	a.batch(w, r, session.ErrNotFound, func(refs []session.Ref) []session.Result {
		return a.Store.GetMany(r.Context(), termsOf(r), refs)
	}, func(s session.Session) (jsontext.Value, error) { return encodeSession(s, "") })
}

// batchDelete says of an ID that cannot be one what DELETE says: there is no such session any more.
func (a *api) batchDelete(w http.ResponseWriter, r *http.Request) {
	a.batch(w, r, nil, func(refs []session.Ref) []session.Result {
		results := make([]session.Result, len(refs))
		for i, err := range a.Store.DeleteMany(r.Context(), termsOf(r), refs) {
			results[i].Err = err
		}
		return results
	}, func(session.Session) (jsontext.Value, error) { return jsontext.Value(`{"deleted":true}`), nil })
}

// batch calls do for the IDs that could be one, and encodes its results; the others have the error malformed.
func (a *api) batch(w http.ResponseWriter, r *http.Request, malformed error, do func([]session.Ref) []session.Result, encode func(session.Session) (jsontext.Value, error)) {
	var body batchBody
	err := plainCall(r)
	if err == nil {
		err = readJSON(r, &body)
	}
	if err == nil && len(body.IDs) > maxBatch {
		err = &jsonError{Pointer: "/ids", why: "holds more than " + strconv.Itoa(maxBatch)}
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	var refs []session.Ref
	results := make([]session.Result, len(body.IDs))
	places := make([]int, 0, len(body.IDs)) // of the refs among the results
	for i, id := range body.IDs {
		ref, err := tenantOf(r).ParseRef(id)
		if err != nil {
			results[i].Err = malformed
			continue
		}
		refs, places = append(refs, ref), append(places, i)
	}
	for i, result := range do(refs) {
		results[places[i]] = result
	}
	answer := batchResults{Results: make([]jsontext.Value, len(results))}
	for i, result := range results {
		if result.Err == nil {
			answer.Results[i], result.Err = encode(result.Session)
		}
		if result.Err != nil {
			k, p := explain(result.Err)
			if k == internal {
				eventOf(r).err = result.Err
			}
			answer.Results[i] = a.encodeProblem(r, k, p)
		}
	}
	a.answerJSON(w, r, answer, nil)
}

// answerJSON ends a call whose answer is not one session.
func (a *api) answerJSON(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	body, err := json.Marshal(v, jsontext.PreserveRawStrings(true))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, body)
}

// answerNothing ends a call that leaves nothing to show.
func (a *api) answerNothing(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	tellOutcome(w, r, false)
	w.WriteHeader(http.StatusNoContent)
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
