package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// maxBatch is how many IDs one batch call accepts.
const maxBatch = 500

// batchBody is the body of both batch calls.
type batchBody struct {
	IDs []string `json:"ids"`
}

// batchResults is their answer: a result or a problem document for each ID, in the same order.
type batchResults struct {
	Results []jsontext.Value `json:"results"`
}

// A batch holds the sessions that a batch call names. It leaves out malformed IDs.
type batch struct {
	ids    int // in the body, malformed ones included
	refs   []session.Ref
	places []int // of the refs among the IDs
}

func (a *api) batchGet(r *http.Request) (answer, error) {
	b, err := readBatch(r)
	if err != nil {
		return answer{}, err
	}
	results := make([]jsontext.Value, b.ids)
	for i, got := range a.Store.GetMany(r.Context(), termsOf(r), b.refs) {
		results[b.places[i]] = a.batchSession(r, got)
	}
	for i := range results {
		if results[i] == nil { // malformed: no session can have this ID
			results[i] = a.batchProblem(r, session.ErrNotFound)
		}
	}
	return jsonAnswer(batchResults{results})
}

// batchDelete treats a malformed ID as DELETE does: there is nothing to delete, so it is done.
func (a *api) batchDelete(r *http.Request) (answer, error) {
	b, err := readBatch(r)
	if err != nil {
		return answer{}, err
	}
	results := slices.Repeat([]jsontext.Value{jsontext.Value(`{"deleted":true}`)}, b.ids)
	for i, err := range a.Store.DeleteMany(r.Context(), termsOf(r), b.refs) {
		if err != nil {
			results[b.places[i]] = a.batchProblem(r, err)
		}
	}
	return jsonAnswer(batchResults{results})
}

func readBatch(r *http.Request) (batch, error) {
	if err := plainCall(r); err != nil {
		return batch{}, err
	}
	var body batchBody
	if err := readJSON(r, &body); err != nil {
		return batch{}, err
	}
	if len(body.IDs) > maxBatch {
		return batch{}, &jsonError{Pointer: "/ids", why: "has more than " + strconv.Itoa(maxBatch) + " entries"}
	}
	b := batch{ids: len(body.IDs)}
	for i, id := range body.IDs {
		if ref, err := tenantOf(r).ParseRef(id); err == nil {
			b.refs, b.places = append(b.refs, ref), append(b.places, i)
		}
	}
	return b, nil
}

func (a *api) batchSession(r *http.Request, got session.Result) jsontext.Value {
	if got.Err != nil {
		return a.batchProblem(r, got.Err)
	}
	body, err := encodeSession(got.Session, "")
	if err != nil {
		return a.batchProblem(r, err)
	}
	return body
}

// batchProblem is the problem document of one ID's error.
func (a *api) batchProblem(r *http.Request, err error) jsontext.Value {
	k, p := explain(err)
	if k == internal {
		eventOf(r).err = err
	}
	return a.encodeProblem(r, k, p)
}
