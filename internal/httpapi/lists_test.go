package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// handles are those in a page.
func (r response) handles() []string {
	r.t.Helper()
	var page struct {
		Sessions []struct {
			Handle string `json:"handle"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal(r.body, &page); err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, s := range page.Sessions {
		all = append(all, s.Handle)
	}
	return all
}

func TestUserSessions(t *testing.T) {
	f := newFixture(t)
	user := "zoë/ö ?&"
	path := "/v1/users/" + url.PathEscape(user) + "/sessions"
	var want []string
	for i := range 5 {
		created := f.do("POST", "/v1/sessions", fmt.Sprintf(`{"user":%q,"meta":{"n":%d},"data":"payload"}`, user, i))
		want = append(want, created.want(201).json()["handle"].(string))
		f.embedded.Advance(time.Millisecond)
	}
	var got []string
	for cursor := ""; ; {
		page := f.do("GET", path+"?limit=2&cursor="+cursor, "").want(200)
		got = append(got, page.handles()...)
		if strings.Contains(string(page.body), "payload") || strings.Contains(string(page.body), `"id"`) {
			t.Errorf("a list shows data or an ID: %s", page.body)
		}
		next, more := page.json()["next_cursor"].(string)
		if !more {
			break
		}
		cursor = next
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	f.do("GET", path+"?limit=0", "").wantProblem(400, "malformed-request")
	f.do("GET", path+"?limit=501", "").wantProblem(400, "malformed-request")
	f.do("GET", path+"?cursor=nonsense", "").wantProblem(400, "malformed-request")
	f.do("GET", "/v1/users/"+strings.Repeat("u", 256)+"/sessions", "").wantProblem(422, "invalid-content")

	f.do("DELETE", path+"/"+want[0], "").want(204)
	f.do("DELETE", path+"/"+want[0], "").want(204)
	f.do("DELETE", path+"/nonsense", "").want(204)
	f.do("DELETE", "/v1/users/"+strings.Repeat("u", 256)+"/sessions/"+want[0], "").wantProblem(422, "invalid-content")
	f.do("DELETE", "/v1/users/"+strings.Repeat("u", 256)+"/sessions", "").wantProblem(422, "invalid-content")
	f.do("DELETE", path+"/"+want[2], "", "If-Match", `"x.1"`).wantProblem(400, "malformed-request")
	f.do("DELETE", path, "", "Idempotency-Key", "k").wantProblem(400, "malformed-request")
	f.raw("DELETE", "/v1/users//sessions/"+want[2], "") // nobody's session is no key to everybody's
	f.do("DELETE", path+"?except=nonsense", "").wantProblem(400, "malformed-request")
	f.do("DELETE", path+"?except="+want[2]+"%zz", "").wantProblem(400, "malformed-request")
	f.do("DELETE", path+"?x=1;except="+want[2], "").wantProblem(400, "malformed-request")
	f.do("DELETE", path+"?except="+want[0], "").wantProblem(404, "not-found") // revoked above
	if got := f.do("GET", path, "").handles(); !slices.Equal(got, want[1:]) {
		t.Errorf("a refused revocation left %v", got)
	}
	if n := f.do("DELETE", path+"?except="+want[2], "").want(200).json()["revoked"]; n != 3.0 {
		t.Errorf("revoked %v", n)
	}
	if got := f.do("GET", path, "").handles(); !slices.Equal(got, want[2:3]) {
		t.Errorf("left %v", got)
	}
	if n := f.do("DELETE", path, "").want(200).json()["revoked"]; n != 1.0 {
		t.Errorf("revoked %v", n)
	}
	if got := f.do("GET", path, "").want(200).handles(); len(got) != 0 {
		t.Errorf("left %v", got)
	}
}

// A page of 100 is one round trip.
func TestListIsOneCommand(t *testing.T) {
	f := newFixture(t)
	for range 100 {
		f.do("POST", "/v1/sessions", `{"user":"alice"}`).want(201)
	}
	f.do("GET", "/v1/users/alice/sessions", "").want(200) // the node learns the script
	f.embedded.Commands()
	if got := f.do("GET", "/v1/users/alice/sessions", "").handles(); len(got) != 100 {
		t.Errorf("a page of %d", len(got))
	}
	if n := len(slices.DeleteFunc(f.embedded.Commands(), func(c string) bool { return c != "EVALSHA" && c != "EVALSHA_RO" && c != "GET" })); n != 1 {
		t.Errorf("%d commands", n)
	}
}

func TestBatches(t *testing.T) {
	f := newFixture(t)
	ids := []string{f.do("POST", "/v1/sessions", `{"data":{"a" :1}}`).id(), "malformed", "never.created.0123456789", f.do("POST", "/v1/sessions", `{}`).id()}
	body, _ := json.Marshal(map[string]any{"ids": ids})
	var got struct {
		Results []map[string]any `json:"results"`
	}
	answer := f.do("POST", "/v1/sessions:batchGet", string(body)).want(200)
	if err := json.Unmarshal(answer.body, &got); err != nil || len(got.Results) != 4 {
		t.Fatalf("got %s, %v", answer.body, err)
	}
	if !strings.Contains(string(answer.body), `"handle"`) || got.Results[1]["type"] != "urn:sessiond:not-found" || got.Results[2]["status"] != 404.0 || got.Results[3]["handle"] == nil {
		t.Errorf("got %s", answer.body)
	}
	answer = f.do("POST", "/v1/sessions:batchDelete", string(body)).want(200)
	if err := json.Unmarshal(answer.body, &got); err != nil || got.Results[0]["deleted"] != true || got.Results[1]["deleted"] != true {
		t.Errorf("got %s, %v", answer.body, err)
	}
	f.do("GET", "/v1/sessions/"+ids[0], "").want(404)
	f.do("POST", "/v1/sessions:batchGet", `{"ids":[]}`).want(200)
	many, _ := json.Marshal(map[string]any{"ids": slices.Repeat([]string{"x"}, 501)})
	p := f.do("POST", "/v1/sessions:batchGet", string(many)).wantProblem(400, "malformed-body")
	if p["pointer"] != "/ids" {
		t.Errorf("got %v", p)
	}
}

// withLargeSessions makes a tenant's sessions 64 KiB large at most, and creates some of that size.
func withLargeSessions(f *fixture, n int) (ids []string) {
	f.t.Helper()
	grant, err := keys.NewGrant("acme", keys.Read|keys.Write, keys.Limits{Policy: sessiontest.Policy, MaxBody: 64 << 10})
	if err != nil {
		f.t.Fatal(err)
	}
	f.grant = func(string) (keys.Grant, bool) { return grant, true }
	content := `{"data":"` + strings.Repeat("x", 60<<10) + `"}`
	for range n {
		ids = append(ids, f.do("POST", "/v1/sessions", content).want(201).id())
	}
	return ids
}

func batchOf(ids []string) string {
	body, _ := json.Marshal(map[string]any{"ids": ids})
	return string(body)
}

// The bytes of an answer are bounded. Whoever asks for the rest gets it.
func TestBatchAnswerIsBounded(t *testing.T) {
	f := newFixture(t)
	ids := withLargeSessions(f, 3*maxBatchAnswer/2/(60<<10))
	for calls := 1; len(ids) > 0; calls++ {
		var got struct {
			Results []struct{ Type, Handle string }
		}
		answer := f.do("POST", "/v1/sessions:batchGet", batchOf(ids)).want(200)
		if err := json.Unmarshal(answer.body, &got); err != nil || calls > 2 {
			t.Fatalf("%v, or call %d", err, calls)
		}
		if size, most := len(answer.body), maxBatchAnswer+batchSlice+(64<<10); size > most {
			t.Errorf("an answer has %d bytes, want at most %d", size, most)
		}
		rest := slices.IndexFunc(got.Results, func(r struct{ Type, Handle string }) bool { return r.Handle == "" })
		if rest < 0 {
			break
		}
		if got.Results[rest].Type != "urn:sessiond:answer-full" {
			t.Fatalf("result %d: %s", rest, got.Results[rest].Type)
		}
		ids = ids[rest:]
	}
}

// Small sessions, or none, before large ones do not make an answer larger.
func TestBatchAnswerIsBoundedInAnyOrder(t *testing.T) {
	f := newFixture(t)
	var ids []string
	for n := range 80 {
		ids = append(ids, fmt.Sprintf("unknown-%020d", n))
	}
	ids = append(ids, slices.Repeat(withLargeSessions(f, 1), 256)...)
	answer := f.do("POST", "/v1/sessions:batchGet", batchOf(ids)).want(200)
	const problems = 256 << 10
	if size, most := len(answer.body), maxBatchAnswer+(64<<10)+problems; size > most {
		t.Errorf("an answer has %d bytes, want at most %d", size, most)
	}
}

// Callers who do not read their answers hold no more memory together than a few answers take, and leave some to other tenants.
func TestBatchesInMemoryAreBounded(t *testing.T) {
	f := newFixture(t)
	ids := batchOf(slices.Repeat(withLargeSessions(f, 2), maxBatchAnswer/(64<<10)/2))
	batch := func(ctx context.Context) *http.Request {
		r := httptest.NewRequest("POST", "/v1/sessions:batchGet", strings.NewReader(ids)).WithContext(ctx)
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	writing, read := make(chan struct{}), make(chan struct{})
	var callers sync.WaitGroup
	for range batchMemoryOf / maxBatchAnswer {
		callers.Go(func() { f.handler.ServeHTTP(&slowReader{httptest.NewRecorder(), writing, read}, batch(t.Context())) })
	}
	for range batchMemoryOf / maxBatchAnswer {
		<-writing
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	if f.handler.ServeHTTP(w, batch(ctx)); w.Code != 503 || !strings.Contains(w.Body.String(), "urn:sessiond:overloaded") {
		t.Errorf("one more: %d %.200s", w.Code, w.Body)
	}
	f.setQuota("other", keys.Quota{}) // for whom there is the other half
	f.do("POST", "/v1/sessions:batchGet", ids).want(200)
	close(read)
	callers.Wait()
	f.do("POST", "/v1/sessions:batchGet", ids).want(200)
}

// A slowReader takes no byte of an answer until read is closed.
type slowReader struct {
	*httptest.ResponseRecorder
	writing chan<- struct{}
	read    <-chan struct{}
}

func (s *slowReader) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.read
	return len(b), nil
}

func TestWalk(t *testing.T) {
	f := newFixture(t)
	want := map[string]bool{}
	for range 25 {
		want[f.do("POST", "/v1/sessions", `{}`).want(201).json()["handle"].(string)] = true
	}
	got := map[string]bool{}
	for cursor := ""; ; {
		page := f.do("GET", "/v1/sessions?limit=10&cursor="+cursor, "").want(200)
		for _, h := range page.handles() {
			got[h] = true
		}
		if page.json()["consistency"] != "weak" {
			t.Errorf("got %s", page.body)
		}
		next, more := page.json()["next_cursor"].(string)
		if !more {
			break
		}
		cursor = next
	}
	if len(got) != len(want) {
		t.Errorf("walked over %d of %d", len(got), len(want))
	}
	f.do("GET", "/v1/sessions?cursor=AAAA", "").wantProblem(400, "malformed-request")
	f.do("GET", "/v1/sessions?cursor="+strings.Repeat("A", 27), "").wantProblem(410, "cursor-expired")
}
