package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCreateAndRead(t *testing.T) {
	f := newFixture(t)
	data := `{"cart": [1, 2.50],  "big":12345678901234567890}`
	created := f.do("POST", "/v1/sessions", `{"user":"alice","meta":{"device":"phone"},"data":`+data+`,"idle_ttl":"10m","max_ttl":7200}`)
	id := created.id()
	if created.Header.Get("Session-ID") != id || created.Header.Get("Location") != "/v1/sessions/"+id {
		t.Errorf("headers %v do not name the ID", created.Header)
	}
	for _, got := range []response{f.do("GET", "/v1/sessions/"+id, ""), f.do("GET", "/v1/session", "", "Session-ID", id)} {
		s := got.want(200).json()
		if s["user"] != "alice" || s["idle_ttl"] != "10m" || s["max_ttl"] != "2h" || s["version"] != 1.0 || s["id"] != nil {
			t.Errorf("got %s", got.body)
		}
		if !strings.Contains(string(got.body), data) {
			t.Errorf("the data is not byte for byte in %s", got.body)
		}
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("ETag") != created.Header.Get("ETag") {
			t.Errorf("got headers %v", got.Header)
		}
	}
	head := f.do("HEAD", "/v1/sessions/"+id, "").want(200)
	if len(head.body) != 0 || head.Header.Get("ETag") != created.Header.Get("ETag") {
		t.Errorf("HEAD: got %q, %v", head.body, head.Header)
	}
}

func TestCreateWithNothing(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{"", "{}", `{"data":null,"meta":null,"user":null}`} {
		f.do("POST", "/v1/sessions", body).want(http.StatusCreated)
	}
}

func TestCreateAtChosenID(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/framework.session-0123456789~"
	f.do("PUT", path, `{"data":1}`).wantProblem(404, "not-found")
	f.do("PUT", path, `{"data":1}`, "If-None-Match", "*").want(201)
	f.do("PUT", path, `{"data":2}`, "If-None-Match", "*").wantProblem(412, "exists")
	f.do("PUT", path, `{"user":"alice"}`, "If-None-Match", "*").wantProblem(422, "id-not-for-user")
	f.do("DELETE", path, "").want(204)
	f.do("PUT", path, `{"data":2}`, "If-None-Match", "*").wantProblem(410, "revoked")
	f.do("PUT", "/v1/sessions/short", `{}`, "If-None-Match", "*").wantProblem(400, "malformed-id")
	f.do("PUT", path, `{}`, "If-None-Match", `"abc"`).wantProblem(400, "malformed-request")
	f.do("PUT", path, `{}`, "If-None-Match", "*", "If-Match", "*").wantProblem(400, "malformed-request")
	f.do("PUT", path, `{}`, "If-None-Match", "").wantProblem(400, "malformed-request")
	f.do("PUT", path, `{}`, "If-None-Match", "*", "If-Match", "").wantProblem(400, "malformed-request")
}

func TestConditionalReplace(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{"data":1}`)
	path, first := "/v1/sessions/"+created.id(), created.Header.Get("ETag")
	second := f.do("PUT", path, `{"data":2}`, "If-Match", first).want(200).Header.Get("ETag")
	if first == second {
		t.Errorf("both versions have the tag %s", first)
	}
	f.do("PUT", path, `{"data":3}`, "If-Match", first).wantProblem(412, "version-mismatch")
	f.do("PUT", path, `{"data":3}`, "If-Match", `W/`+second).wantProblem(412, "version-mismatch")
	f.do("PUT", path, `{"data":3}`, "If-Match", `"of somebody else"`).wantProblem(412, "version-mismatch")
	f.do("PUT", path, `{"data":3}`, "If-Match", first+", "+second).want(200)
	f.do("PUT", path, `{"data":4}`, "If-Match", "*").want(200)
	f.do("PUT", path, `{"data":5}`, "If-Match", "nonsense").wantProblem(400, "malformed-request")
	f.do("PUT", path, `{"data":5}`, "If-Match", "").wantProblem(400, "malformed-request")
	f.do("GET", path, "", "If-Match", first).wantProblem(412, "version-mismatch")
	f.do("DELETE", path, "", "If-None-Match", "*").wantProblem(400, "malformed-request")
	f.do("DELETE", path, "", "If-Match", first).wantProblem(412, "version-mismatch")
	if got := f.do("GET", path, "").json()["data"]; got != 4.0 {
		t.Errorf("got data %v", got)
	}
}

func TestConditionalRead(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{}`)
	path, tag := "/v1/sessions/"+created.id(), created.Header.Get("ETag")
	for header, status := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200} {
		f.do("GET", path, "", "If-None-Match", header).want(status)
		f.do("HEAD", path, "", "If-None-Match", header).want(status)
	}
}

func TestPatch(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{"meta":{"a":1},"data":{"x":1,"y":2}}`).id()
	got := f.do("PATCH", path, `{"meta":{"b":2},"data":{"x":null,"z":3}}`).want(200)
	for _, want := range []string{`"meta":{"a":1,"b":2}`, `"data":{"y":2,"z":3}`, `"version":2`} {
		if !strings.Contains(string(got.body), want) {
			t.Errorf("%s is not in %s", want, got.body)
		}
	}
	f.do("PATCH", path, `{"data":{}}`, "Content-Type", "application/json").wantProblem(415, "unsupported-media-type")
	f.do("PATCH", path, `{"meta":1}`).wantProblem(400, "malformed-body")
	// What patches add up to is limited as a whole body is.
	half := `{"data":{"%s":"` + strings.Repeat("x", 2100) + `"}}`
	f.do("PATCH", path, fmt.Sprintf(half, "a")).want(200)
	f.do("PATCH", path, fmt.Sprintf(half, "b")).wantProblem(422, "invalid-content")
	f.do("PATCH", path, `{"user":"x"}`).wantProblem(400, "malformed-body")
	f.do("PATCH", path, ``).wantProblem(400, "malformed-body")
}

func TestTouch(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{"data":1}`)
	path := "/v1/sessions/" + created.id()
	f.embedded.Advance(time.Minute)
	before := created.json()
	got := f.do("POST", path+"/touch", "").want(200).json()
	if got["idle_expires_at"] == before["idle_expires_at"] || got["expires_at"] != before["expires_at"] || got["data"] != nil {
		t.Errorf("got %v after %v", got, before)
	}
	got = f.do("POST", "/v1/session/touch", `{"idle_ttl":"48h"}`, "Session-ID", created.id()).want(200).json()
	if got["idle_ttl"] != "48h" || got["max_ttl"] != "48h" || got["version"] != 1.0 {
		t.Errorf("got %v", got)
	}
	p := f.do("POST", path+"/touch", `{"max_ttl":"1s"}`).wantProblem(422, "ttl-out-of-range")
	if p["pointer"] != "/max_ttl" {
		t.Errorf("got %v", p)
	}
}

func TestExpiry(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{"idle_ttl":"1s"}`).id()
	f.do("GET", path, "").want(200)
	f.embedded.Advance(time.Second + time.Millisecond) // Redis expires by the millisecond, rounded up
	f.do("GET", path, "").wantProblem(404, "not-found")
	f.do("POST", path+"/touch", "").wantProblem(404, "not-found")
}

func TestDelete(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{}`).id()
	f.do("DELETE", path, "").want(204)
	f.do("DELETE", path, "").want(204)
	f.do("GET", path, "").wantProblem(404, "not-found")
	f.do("DELETE", "/v1/sessions/cannot-be", "").want(204)
}

func TestPreferMinimal(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{"data":1}`, "Prefer", "return=minimal").want(204)
	id := created.Header.Get("Session-ID")
	if created.Header.Get("Preference-Applied") != "return=minimal, durability=single" || len(created.body) != 0 || id == "" {
		t.Errorf("got %v %q", created.Header, created.body)
	}
	f.do("PUT", "/v1/sessions/"+id, `{"data":2}`, "Prefer", `respond-async, Return="minimal"; foo`).want(204)
	f.do("PATCH", "/v1/sessions/"+id, `{}`, "Prefer", "return=minimal").want(204)
	f.do("POST", "/v1/sessions/"+id+"/touch", ``, "Prefer", "return=minimal").want(204)
	f.do("GET", "/v1/sessions/"+id, "", "Prefer", "return=minimal").want(200)
	f.do("PUT", "/v1/sessions/"+id, `{"data":2}`, "Prefer", "return=representation").want(200)
}

func TestMalformedIDsAreAbsent(t *testing.T) {
	f := newFixture(t)
	for _, id := range []string{"short", strings.Repeat("x", 129), "%7B" + strings.Repeat("x", 30), "%00" + strings.Repeat("x", 30)} {
		f.do("GET", "/v1/sessions/"+id, "").wantProblem(404, "not-found")
		f.do("PUT", "/v1/sessions/"+id, `{}`).wantProblem(404, "not-found")
		f.do("PATCH", "/v1/sessions/"+id, `{}`).wantProblem(404, "not-found")
		f.do("POST", "/v1/sessions/"+id+"/touch", ``).wantProblem(404, "not-found")
		f.do("DELETE", "/v1/sessions/"+id, ``).want(204)
	}
	f.do("GET", "/v1/session", "").wantProblem(400, "malformed-request")
}

// An escaped path names the same session as a plain one.
func TestEscapedID(t *testing.T) {
	f := newFixture(t)
	id := f.do("POST", "/v1/sessions", `{}`).id()
	f.do("GET", "/v1/sessions/%41"+id[1:], "").want(200)
}

func TestRotate(t *testing.T) {
	f := newFixture(t)
	created := f.do("POST", "/v1/sessions", `{"user":"alice","data":1}`)
	old := "/v1/sessions/" + created.id()
	rotated := f.do("POST", old+"/rotate", "").want(200)
	id, _ := rotated.json()["id"].(string)
	if id == "" || id == created.id() || rotated.Header.Get("Session-ID") != id {
		t.Fatalf("got %s %v", rotated.body, rotated.Header)
	}
	if got := f.do("GET", old, "").want(200).json(); got["handle"] != rotated.json()["handle"] {
		t.Errorf("the old ID leads to %v", got)
	}
	if again := f.do("POST", "/v1/session/rotate", `{"grace":"10s"}`, "Session-ID", created.id()).want(200).json(); again["id"] != id {
		t.Errorf("a second rotation of the old ID gives another successor: %v", again)
	}
	f.embedded.Advance(31 * time.Second)
	f.do("GET", old, "").want(200) // nobody has used the new ID, so that this caller is the only one
	f.do("POST", "/v1/sessions/"+id+"/touch", "").want(200)
	f.do("GET", old, "").wantProblem(404, "not-found")
	f.do("GET", "/v1/sessions/"+id, "").wantProblem(404, "not-found")
	if !strings.Contains(f.log.String(), "used after its grace") {
		t.Errorf("the reuse is not in the log: %s", f.log)
	}

	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{"data":{"cart":1}}`).id()
	login := f.do("POST", path+"/rotate", `{"user":"bob"}`).want(200).json()
	if login["user"] != "bob" || login["version"] != 1.0 {
		t.Errorf("got %v", login)
	}
	f.do("GET", path, "").wantProblem(404, "not-found")
	in := "/v1/sessions/" + login["id"].(string)
	f.do("POST", in+"/rotate", `{"user":"carol"}`).wantProblem(422, "invalid-content")
	f.do("POST", in+"/rotate", `{"grace":"1h"}`).wantProblem(422, "ttl-out-of-range")
	f.do("POST", in+"/rotate", `{"grace":-1}`).wantProblem(400, "malformed-body")
	f.do("POST", in+"/rotate", `{"grace":0}`, "Prefer", "return=minimal").want(204)
	f.do("GET", in, "").wantProblem(404, "not-found")
}

func TestUpsert(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/library.0123456789abcdef?upsert=true"
	f.do("PUT", path, `{}`, "If-Match", "*").wantProblem(404, "not-found") // RFC 9110: false where nothing is
	f.do("PUT", path, `{"data":1,"idle_ttl":"1m"}`).want(201)
	if got := f.do("PUT", path, `{"data":2}`).want(200).json(); got["version"] != 2.0 || got["idle_ttl"] != "1m" {
		t.Errorf("got %v", got)
	}
	f.do("PUT", path, `{}`, "If-Match", "*").want(200)
	f.do("PUT", path, `{}`, "If-None-Match", "*").wantProblem(400, "malformed-request")
	f.do("PUT", path, `{"user":"alice"}`).wantProblem(400, "malformed-body")
	f.do("PUT", "/v1/sessions/short?upsert=true", `{}`).wantProblem(400, "malformed-id")
	f.do("PUT", "/v1/sessions/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY?upsert=true", `{}`).want(201) // looks issued
	f.do("PUT", "/v1/sessions/"+f.do("POST", "/v1/sessions", ``).id()+"?upsert=true", `{}`).want(200)
	f.do("DELETE", "/v1/sessions/library.0123456789abcdef", "").want(204)
	f.do("PUT", path, `{"data":3}`).wantProblem(410, "revoked")
}

func TestForget(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/lock.0123456789abcdefghij"
	f.do("PUT", path, `{}`, "If-None-Match", "*").want(201)
	f.do("DELETE", path+"?forget=true", "").want(204)
	f.do("PUT", path, `{}`, "If-None-Match", "*").want(201)
}

func TestUnknownQueries(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{}`).id()
	for _, c := range [][2]string{
		{"GET", path + "?tuoch=false"}, {"GET", path + "?touch=maybe"}, {"GET", path + "?touch=true&touch=false"},
		{"DELETE", path + "?force=true"}, {"DELETE", path + "?forget"}, {"PUT", path + "?upsert=1"}, {"POST", "/v1/sessions?user=x"},
		{"POST", path + "/touch?x=1"}, {"PATCH", path + "?upsert=true"},
		{"PUT", path + "?upsert=true%"}, {"GET", path + "?touch=false;"}, {"DELETE", path + "?forget=true&%zz=1"},
		{"GET", "/v1/users/alice/sessions?limit=1;cursor=x"}, {"GET", "/v1/sessions?limit=1%"}, {"POST", "/v1/sessions:batchGet?%"},
		{"GET", "/v1/cluster?;"}, {"GET", "/v1/cluster/events?since=1;x"}, {"GET", "/readyz?verbose;"},
	} {
		f.do(c[0], c[1], `{}`).wantProblem(400, "malformed-request")
	}
	f.do("POST", "/v1/sessions", `{}`, "Idempotency-Key", "k").wantProblem(400, "malformed-request")
	f.do("PUT", path, `{}`, "Idempotency-Key", strings.Repeat("k", 256)).wantProblem(400, "malformed-request")
	f.do("POST", path+"/touch", ``, "Idempotency-Key", "k").wantProblem(400, "malformed-request")
	f.do("GET", path, "").want(200)
}

// Of two values of a header that has one, none is taken.
func TestRepeatedHeaders(t *testing.T) {
	f := newFixture(t)
	id := f.do("POST", "/v1/sessions", `{}`).id()
	other := f.do("POST", "/v1/sessions", `{}`).id()
	for name, values := range map[string][]string{
		"Session-ID":      {id, other},
		"Idempotency-Key": {"a", "b"},
		"Content-Type":    {"application/json", "text/plain"},
	} {
		r := httptest.NewRequest("PUT", "/v1/session", strings.NewReader(`{"data":1}`))
		r.Header.Set("Session-ID", id)
		r.Header[http.CanonicalHeaderKey(name)] = values
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		response{t, w.Result(), r, w.Body.Bytes()}.wantProblem(400, "malformed-request")
	}
	r := httptest.NewRequest("GET", "/v1/session", nil)
	r.Header["Authorization"] = []string{"Bearer a", "Bearer b"}
	if key := bearer(r); key != "" {
		t.Errorf("took the key %q", key)
	}
}

// A read slides, a HEAD and a read that says so do not.
func TestReadsThatSlide(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{"idle_ttl":"10m"}`).id()
	f.embedded.Advance(time.Minute)
	f.do("HEAD", path, "").want(200)
	touched := f.do("GET", path+"?touch=false", "").want(200).json()["last_touched_at"]
	if again := f.do("GET", path, "").want(200).json()["last_touched_at"]; again != touched {
		t.Errorf("touched at %v, then at %v", touched, again)
	}
	for tick := time.Tick(time.Millisecond); ; <-tick {
		if f.do("GET", path+"?touch=false", "").want(200).json()["last_touched_at"] != touched {
			return
		}
	}
}
