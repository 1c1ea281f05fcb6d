package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func writeKeys(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Web pages cannot make a browser change anything, and cannot reach the service under a name of their own.
func TestWebPages(t *testing.T) {
	f := newFixture(t)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://127.0.0.2:9000"}, {"Origin", "null"},
	} {
		f.do("POST", "/v1/sessions", `{}`, headers...).wantProblem(403, "foreign-origin")
	}
	f.do("POST", "/v1/sessions", `{}`, "Sec-Fetch-Site", "same-origin").want(201)
	f.do("GET", "/livez", "", "Sec-Fetch-Site", "cross-site").want(200)

	f = newFixture(t, func(c *Config) { c.Hosts = []string{"sessions.example"} })
	for host, status := range map[string]int{
		"evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "sessions.example.evil.example": 421, "": 421,
		"localhost:8080": 200, "LOCALHOST": 200, "127.0.0.1:8080": 200, "10.1.2.3": 200, "[::1]:8080": 200, "[::1]": 200, "Sessions.Example.:8080": 200,
	} {
		for _, path := range []string{"/livez", "/metrics", "/v1/cluster"} {
			r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
			r.Host = host
			if f.handler.ServeHTTP(w, r); w.Code != status {
				t.Errorf("%s at %q: %d", path, host, w.Code)
			}
		}
	}
}

// A key that may write and not read learns nothing of what a session holds.
func TestWritersDoNotRead(t *testing.T) {
	f := newFixture(t)
	id := f.do("POST", "/v1/sessions", `{"user":"alice","meta":{"m":"secret"},"data":"secret"}`).id()
	grant, err := keys.NewGrant("acme", keys.Write, keys.Limits{Policy: sessiontest.Policy, MaxBody: 4096})
	if err != nil {
		t.Fatal(err)
	}
	f.grant = func(string) (keys.Grant, bool) { return grant, true }
	path := "/v1/sessions/" + id
	answers := []response{
		f.do("PATCH", path, `{}`, "Content-Type", "application/merge-patch+json").want(200),
		f.do("POST", path+"/touch", `{}`).want(200),
		f.do("POST", path+"/rotate", `{}`).want(200),
	}
	for _, got := range answers {
		if strings.Contains(string(got.body), "secret") || got.json()["handle"] == nil {
			t.Errorf("got %s", got.body)
		}
	}
	f.do("GET", path, "").wantProblem(403, "forbidden")
}

func TestKeyring(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.LogsPerSecond = -1 })
	path := filepath.Join(t.TempDir(), "keys.json")
	text := fmt.Sprintf(`{
		"tenants": {"shop": {"ttl_limit": "1h", "default_max_ttl": "1h", "sessions_per_user": 1, "max_body_bytes": 100}, "blog": {}},
		"keys": [
			{"id": "web-1", "sha256": %q, "tenant": "shop", "scopes": ["read", "write"]},
			{"sha256": %q, "tenant": "shop", "scopes": ["read"]},
			{"sha256": %q, "tenant": "blog", "scopes": ["read", "write", "admin"]}
		]}`, hashOf("shop-app"), hashOf("shop-reader"), hashOf("blog-admin"))
	writeKeys(t, path, text)
	ring, err := keys.Load(path, keys.Limits{Policy: sessiontest.Policy, MaxBody: 4096})
	if err != nil {
		t.Fatal(err)
	}
	f.grant = ring.Grant
	as := func(key string) []string { return []string{"Authorization", "Bearer " + key} }

	for _, auth := range [][]string{nil, as("wrong"), as(""), {"Authorization", "Basic shop-app"}, as(hashOf("shop-app"))} {
		got := f.do("POST", "/v1/sessions", `{}`, auth...)
		got.wantProblem(401, "unauthorized")
		if got.Header.Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
	}
	id := f.do("POST", "/v1/sessions", `{"user":"alice"}`, as("shop-app")...).id()
	f.do("GET", "/v1/sessions/"+id, "", as("shop-reader")...).want(200)
	f.do("GET", "/v1/sessions/"+id, "", as("blog-admin")...).wantProblem(404, "not-found")
	f.do("DELETE", "/v1/sessions/"+id, "", as("shop-reader")...).wantProblem(403, "forbidden")
	f.do("POST", "/v1/sessions", `{}`, as("shop-reader")...).wantProblem(403, "forbidden")
	f.do("POST", "/v1/sessions:batchDelete", `{"ids":[]}`, as("shop-reader")...).wantProblem(403, "forbidden")
	f.do("GET", "/v1/sessions", "", as("shop-app")...).wantProblem(403, "forbidden")
	if got := f.do("GET", "/v1/sessions", "", as("blog-admin")...).want(200).handles(); len(got) != 0 {
		t.Errorf("one tenant walks another's sessions: %v", got)
	}
	if got := f.do("GET", "/v1/users/alice/sessions", "", as("blog-admin")...).want(200).handles(); len(got) != 0 {
		t.Errorf("one tenant lists another's sessions: %v", got)
	}

	// The tenant's own limits.
	f.do("POST", "/v1/sessions", `{"idle_ttl":"2h"}`, as("shop-app")...).wantProblem(422, "ttl-out-of-range")
	f.do("POST", "/v1/sessions", `{"idle_ttl":"2h"}`, as("blog-admin")...).want(201)
	f.do("POST", "/v1/sessions", `{"user":"alice"}`, as("shop-app")...).wantProblem(409, "too-many-sessions")
	f.do("POST", "/v1/sessions", `{"data":"`+strings.Repeat("x", 100)+`"}`, as("shop-app")...).wantProblem(413, "body-too-large")

	// A file that cannot be used changes nothing; one that can counts at once.
	writeKeys(t, path, `{"keys":[{"sha256":"zz","tenant":"shop"}]}`)
	if _, err := ring.Reload(); err == nil {
		t.Error("a broken file was accepted")
	}
	f.do("GET", "/v1/sessions/"+id, "", as("shop-app")...).want(200)
	writeKeys(t, path, strings.Replace(text, hashOf("shop-reader"), hashOf("new-reader"), 1))
	if _, err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/v1/sessions/"+id, "", as("shop-reader")...).wantProblem(401, "unauthorized")
	f.do("GET", "/v1/sessions/"+id, "", as("new-reader")...).want(200)

	for _, key := range []string{"shop-app", "new-reader", "blog-admin"} {
		if strings.Contains(f.log.String(), key) {
			t.Errorf("the key %s is in the log", key)
		}
	}
	for _, id := range []string{"web-1", hashOf("blog-admin")[:8]} {
		if !strings.Contains(f.log.String(), `"key":"`+id+`"`) {
			t.Errorf("the log does not say that %s called", id)
		}
	}
	f.do("GET", "/livez", "").want(200) // needs no key
}
