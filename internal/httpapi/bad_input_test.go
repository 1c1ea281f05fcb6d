package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/session"
)

func TestMalformedBodies(t *testing.T) {
	f := newFixture(t)
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, c := range []struct{ name, body, pointer, detail string }{
		{"not JSON", `{"data":tru}`, "/data", "is not valid JSON"},
		{"cut short", `{"data":{"a":1`, "/data", "is not valid JSON"},
		{"white space", ` `, "", "the body is missing"},
		{"an array", `[]`, "", "the body must be an object"},
		{"null", `null`, "", "the body must be an object"},
		{"unknown member", `{"data":1,"ttl":5}`, "/ttl", "is not a known member"},
		{"duplicate member", `{"data":{"a":1,"a":2}}`, "/data/a", "is given more than once"},
		{"trailing garbage", `{} x`, "", "is followed by other data"},
		{"two values", `{}{}`, "", "is followed by other data"},
		{"user of the wrong type", `{"user":5}`, "/user", "must be a non-empty string"},
		{"not UTF-8", "{\"data\":\"\xff\"}", "/data", "is not valid JSON"},
		{"too deep", `{"data":` + deep + `}`, "/data", "is nested deeper than 64 levels"},
		{"TTL of zero", `{"idle_ttl":0}`, "/idle_ttl", "must be a positive duration"},
		{"TTL of a string of zero", `{"idle_ttl":"0s"}`, "/idle_ttl", "must be a positive duration"},
		{"negative TTL", `{"max_ttl":-1}`, "/max_ttl", "must be a positive duration"},
		{"TTL below a millisecond", `{"max_ttl":"1us"}`, "/max_ttl", "must be a positive duration"},
		{"TTL without a unit", `{"max_ttl":"30"}`, "/max_ttl", "must be a positive duration"},
		{"TTL of the wrong type", `{"max_ttl":[1]}`, "/max_ttl", "must be a positive duration"},
		{"meta of the wrong type", `{"meta":[1]}`, "/meta", "must be an object"},
		{"empty user", `{"user":""}`, "/user", "must be a non-empty string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			p := f.do("POST", "/v1/sessions", c.body).wantProblem(400, "malformed-body")
			pointer, _ := p["pointer"].(string)
			if !strings.HasPrefix(pointer, c.pointer) || (c.pointer == "" && pointer != "") {
				t.Errorf("got pointer %q, want %q", pointer, c.pointer)
			}
			if detail, _ := p["detail"].(string); !strings.Contains(detail, c.detail) {
				t.Errorf("got detail %q, want %q", detail, c.detail)
			}
		})
	}
	if keys := f.embedded.Keys(); len(keys) > 0 {
		t.Errorf("stored %v", keys)
	}
}

func TestDepthOf64IsFine(t *testing.T) {
	f := newFixture(t)
	deep := strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1)
	f.do("POST", "/v1/sessions", `{"data":`+deep+`}`).want(201)
}

func TestRefusedContent(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct{ body, kind, pointer string }{
		{`{"idle_ttl":"721h"}`, "ttl-out-of-range", "/idle_ttl"},
		{`{"max_ttl":"721h"}`, "ttl-out-of-range", "/max_ttl"},
		{`{"max_ttl":10000000000}`, "ttl-out-of-range", "/max_ttl"},
		{`{"max_ttl":1e300}`, "ttl-out-of-range", "/max_ttl"},
		{`{"idle_ttl":"2h","max_ttl":"1h"}`, "ttl-out-of-range", "/idle_ttl"},
		{`{"meta":{"a":"` + strings.Repeat("x", session.MaxMetaBytes) + `"}}`, "invalid-content", "/meta"},
		{`{"user":"` + strings.Repeat("u", 256) + `"}`, "invalid-content", "/user"},
		{`{"user":"a\u0000b"}`, "invalid-content", "/user"},
	} {
		p := f.do("POST", "/v1/sessions", c.body).wantProblem(422, c.kind)
		if p["pointer"] != c.pointer {
			t.Errorf("%s: got pointer %v", c.body, p["pointer"])
		}
	}
	if limit := f.do("POST", "/v1/sessions", `{"idle_ttl":"721h"}`).json()["limit"]; limit != "720h" {
		t.Errorf("got limit %v", limit)
	}
}

func TestBodyLimit(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/" + f.do("POST", "/v1/sessions", `{}`).id()
	f.embedded.Commands()
	large := `{"data":"` + strings.Repeat("x", 4096) + `"}`
	for _, call := range [][2]string{{"POST", "/v1/sessions"}, {"PUT", path}, {"PATCH", path}, {"POST", path + "/touch"}} {
		p := f.do(call[0], call[1], large).wantProblem(413, "body-too-large")
		if p["limit"] != "4096" {
			t.Errorf("got limit %v", p["limit"])
		}
	}
	if commands := f.embedded.Commands(); len(commands) > 0 {
		t.Errorf("Redis was asked: %v", commands)
	}
}

// A caller that announces too large a body is told at once, and none of it is read.
func TestBodyLimitBeforeTheBody(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("POST", "/v1/sessions", unreadable{t})
	r.ContentLength = 1 << 40
	w := httptest.NewRecorder()
	if f.handler.ServeHTTP(w, r); w.Code != 413 || !strings.Contains(w.Body.String(), `"limit":"4096"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// A caller that sends a part of its body and then nothing is told so, at the deadline of its request.
func TestSlowBody(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Deadline = 50 * time.Millisecond })
	server := httptest.NewServer(f.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 408 || !strings.Contains(string(body), "urn:sessiond:body-too-slow") {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
}

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestWrongRoutesAndMethods(t *testing.T) {
	f := newFixture(t)
	f.do("GET", "/nothing", "").wantProblem(404, "no-such-route")
	f.do("GET", "/v1/sessions/a/b/c", "").wantProblem(404, "no-such-route")
	got := f.do("DELETE", "/v1/sessions", "")
	got.wantProblem(405, "method-not-allowed")
	if allow := got.Header.Values("Allow"); !slices.Equal(allow, []string{"GET", "POST"}) {
		t.Errorf("got Allow %v", allow)
	}
	got = f.do("POST", "/v1/sessions/0123456789012345678901", "")
	got.wantProblem(405, "method-not-allowed")
	if allow := got.Header.Values("Allow"); !slices.Equal(allow, []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"}) {
		t.Errorf("got Allow %v", allow)
	}
	f.do("POST", "/v1/sessions", `user=alice`, "Content-Type", "application/x-www-form-urlencoded").wantProblem(415, "unsupported-media-type")
	f.do("POST", "/v1/sessions", `{}`, "Content-Type", "").wantProblem(415, "unsupported-media-type")
	f.do("POST", "/v1/sessions", `{}`, "Content-Encoding", "gzip").wantProblem(415, "unsupported-media-type")
	f.do("POST", "/v1/sessions", `{}`, "Content-Encoding", "identity").want(201)
}

// The table maps errors to answers. An error that is not in it is a 500 that reveals nothing.
func TestStoreErrors(t *testing.T) {
	secret := errors.New("redis: dial tcp 10.0.0.1:6379: secret detail")
	for _, c := range []struct {
		err    error
		status int
		kind   string
		retry  bool
	}{
		{cluster.ErrUnavailable, 503, "unavailable", true},
		{cluster.ErrOutcomeUnknown, 503, "outcome-unknown", true},
		{cluster.ErrFull, 507, "store-full", true},
		{session.ErrContended, 409, "contended", true},
		{session.ErrNotFound, 404, "not-found", false},
		{session.ErrExists, 412, "exists", false},
		{session.ErrRevoked, 410, "revoked", false},
		{session.ErrConflict, 412, "version-mismatch", false},
		{session.ErrForeignSlot, 422, "id-not-for-user", false},
		{session.ErrKeyReused, 422, "idempotency-key-reused", false},
		{session.ErrLimit, 409, "too-many-sessions", false},
		{session.ErrCursorExpired, 410, "cursor-expired", false},
		{session.ErrBadCursor, 400, "malformed-request", false},
		{secret, 500, "internal", false},
	} {
		f := newFixture(t)
		f.store.err = fmt.Errorf("%w: %w", c.err, secret)
		if c.err == secret {
			f.store.err = secret
		}
		r := f.raw("POST", "/v1/sessions", `{}`) // not every one of these is a create's answer in the document
		k, _ := explain(f.store.err)
		if k.name != c.kind || r.StatusCode != c.status {
			t.Errorf("%v became %s, %d", c.err, k.name, r.StatusCode)
		}
		if p := r.json(); p["retryable"] != c.retry {
			t.Errorf("%s: retryable is %v", c.kind, p["retryable"])
		}
		if strings.Contains(string(r.body), "secret") {
			t.Errorf("%s shows the cause: %s", c.kind, r.body)
		}
		if after := r.Header.Get("Retry-After"); (after != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After is %q", c.kind, after)
		}
		if c.status >= 500 && !strings.Contains(f.log.String(), "secret detail") {
			t.Errorf("%s: the cause is not in the log: %s", c.kind, f.log)
		}
	}
}

// A create that timed out after it was applied is repeated safely at a chosen ID.
func TestOutcomeUnknown(t *testing.T) {
	f := newFixture(t)
	path := "/v1/sessions/0123456789012345678901"
	f.store.err, f.store.after = cluster.ErrOutcomeUnknown, true
	f.do("PUT", path, `{"data":1}`, "If-None-Match", "*").wantProblem(503, "outcome-unknown")
	f.store.err = nil
	f.do("GET", path, "").want(200)
	f.do("PUT", path, `{"data":1}`, "If-None-Match", "*").wantProblem(412, "exists")
	f.do("PUT", path, `{"data":1}`, "If-None-Match", "*", "Idempotency-Key", "k").wantProblem(412, "exists")

	key := []string{"Idempotency-Key", "replace-1"}
	f.store.err = cluster.ErrOutcomeUnknown
	f.do("PUT", path, `{"data":2}`, key...).wantProblem(503, "outcome-unknown")
	f.store.err = nil
	if got := f.do("PUT", path, `{"data":2}`, key...).want(200).json(); got["version"] != 2.0 {
		t.Errorf("the write took effect again: %v", got)
	}
	f.do("PUT", path, `{"data":3}`, key...).wantProblem(422, "idempotency-key-reused")
	f.store.err = cluster.ErrOutcomeUnknown
	f.do("DELETE", path, "").wantProblem(503, "outcome-unknown")
	f.store.err = nil
	f.do("DELETE", path, "").want(204)
}

func TestPanicIsAnInternalProblem(t *testing.T) {
	f := newFixture(t)
	f.ready = func(context.Context) (watch.Snapshot, error) { panic("defect") }
	f.raw("GET", "/readyz", "").wantProblem(500, "internal")
	if !strings.Contains(f.log.String(), "bad_input_test.go") {
		t.Errorf("no stack in the log: %s", f.log)
	}
	f.do("GET", "/livez", "").want(200)
}

// The OpenAPI document, docs/problems.md and the code list the same types; the page has the code's titles too.
func TestProblemTypesAreDocumented(t *testing.T) {
	inCode := map[string]bool{}
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`kind\{"([a-z-]+)", (\d+), "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		inCode[m[1]+" "+m[2]+" "+m[3]] = true
	}
	page, err := os.ReadFile("../../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	inPage := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (\\d+) \\| ([^|]+) \\|").FindAllStringSubmatch(string(page), -1) {
		inPage[m[1]+" "+m[2]+" "+m[3]] = true
	}
	if !maps.Equal(inCode, inPage) {
		t.Errorf("the code has %v, docs/problems.md %v", inCode, inPage)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	types := doc.Components.Schemas["Problem"].Value.Properties["type"].Value.Enum
	if len(types) != len(inCode) {
		t.Errorf("the document lists %d types, the code %d", len(types), len(inCode))
	}
	for _, typ := range types {
		name := strings.TrimPrefix(typ.(string), "urn:sessiond:")
		if !slices.ContainsFunc(slices.Collect(maps.Keys(inCode)), func(k string) bool { return strings.HasPrefix(k, name+" ") }) {
			t.Errorf("the document lists %s, which the code does not know", name)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"user":"alice","meta":{"a":1},"data":[1.50,"\u00e9"],"idle_ttl":"30m","max_ttl":1800.5}`))
	f.Add([]byte(`{"data":{"a":1,"a":2}}`))
	f.Add([]byte(`{"idle_ttl":1e300}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var body createBody
		if err := decodeJSON(b, &body); err != nil {
			if k, p := explain(err); k != malformedBody || p.Detail == "" {
				t.Fatalf("%v became %v", err, k)
			}
			return
		}
		if len(body.Data) > 0 && !strings.Contains(string(b), string(body.Data)) {
			t.Fatalf("data %q does not stand in %q", body.Data, b)
		}
		for _, ttl := range []session.Duration{body.IdleTTL, body.MaxTTL} {
			if ttl.Duration < 0 {
				t.Fatalf("negative TTL %s", ttl)
			}
		}
	})
}
