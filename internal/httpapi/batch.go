package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// maxBatch is how many IDs one batch call accepts.
const maxBatch = 500

// What reads of many sessions may take. An answer is put together in memory before it is sent, because its headers say which
// of the reads a replica has answered.
const (
	maxBatchAnswer = 4 << 20         // bytes of sessions in one answer; the last few may exceed it by what was read with them
	batchSlice     = 1 << 20         // bytes of sessions that one call reads at a time, or one session if it is larger
	batchMemory    = 16 << 20        // bytes of sessions in all answers that are on their way; the calls beyond wait
	batchMemoryOf  = batchMemory / 2 // the same of one tenant
)

// errAnswerFull means that a session was not read, because the answer is full without it.
var errAnswerFull = errors.New("the answer is full")

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
	placeOf(r).leave()                                // memory may take long to come
	largest := min(grantOf(r).MaxBody, batchMemoryOf) // of a session
	weight := min(int64(len(b.refs))*largest, max(maxBatchAnswer, largest))
	release, err := a.reserve(r.Context(), tenantOf(r).Name(), weight)
	if err != nil {
		return answer{}, fmt.Errorf("%w: too many sessions are being read: %w", cluster.ErrOverloaded, err)
	}
	handedOver := false
	defer func() {
		if !handedOver { // it failed, or panicked
			release()
		}
	}()
	leave, err := a.forBatch(r, len(b.refs))
	if err != nil {
		return answer{}, err
	}
	defer leave()
	ans, err := jsonAnswer(batchResults{a.readMany(r, b, largest)})
	if err != nil {
		return answer{}, err
	}
	handedOver = true
	return answer{stream: func(w http.ResponseWriter, r *http.Request) {
		defer release() // a slow caller holds the answer in memory
		ans.write(w, r)
	}}, nil
}

// reserve waits for memory for a tenant's batch, and returns the function that gives it back. A tenant waits for its own part
// first, so that it does not stand in the way of others.
func (a *api) reserve(ctx context.Context, tenant string, weight int64) (release func(), err error) {
	part, _ := a.batchesOf.LoadOrStore(tenant, semaphore.NewWeighted(batchMemoryOf))
	own := part.(*semaphore.Weighted)
	if err := own.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	if err := a.batches.Acquire(ctx, weight); err != nil {
		own.Release(weight)
		return nil, err
	}
	return func() {
		a.batches.Release(weight)
		own.Release(weight)
	}, nil
}

// readMany reads the sessions until the answer is full, about batchSlice at a time. How large they are shows as it goes: it
// begins as if all were as large as they may be, and reads at most four times as many in the next step. Those before say nothing
// of the next ones, so that no step takes more than there is room for if all of it is as large as it may be.
func (a *api) readMany(r *http.Request, b batch, largest int64) []jsontext.Value {
	results, size := make([]jsontext.Value, b.ids), 0
	step, read := int(max(1, batchSlice/largest)), 0
	for read < len(b.refs) && size < maxBatchAnswer {
		step = max(1, min(step, int((maxBatchAnswer-int64(size))/largest)))
		for i, got := range a.Store.GetMany(r.Context(), termsOf(r), b.refs[read:min(read+step, len(b.refs))]) {
			result := a.batchSession(r, got)
			results[b.places[read+i]] = result
			size += len(result)
		}
		read = min(read+step, len(b.refs))
		step = max(1, min(4*step, batchSlice*read/size))
	}
	for _, place := range b.places[read:] {
		results[place] = a.batchProblem(r, errAnswerFull)
	}
	for i := range results {
		if results[i] == nil { // malformed: no session can have this ID
			results[i] = a.batchProblem(r, session.ErrNotFound)
		}
	}
	return results
}

// batchDelete treats a malformed ID as DELETE does: there is nothing to delete, so it is done.
func (a *api) batchDelete(r *http.Request) (answer, error) {
	b, err := readBatch(r)
	if err != nil {
		return answer{}, err
	}
	leave, err := a.forBatch(r, len(b.refs))
	if err != nil {
		return answer{}, err
	}
	defer leave()
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
		callOf(r).err = err
	}
	return a.encodeProblem(r, k, p)
}
