package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

func TestKeyring(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	text := fmt.Sprintf(`{
		"tenants": {"shop": {"ttl_limit": "1h", "default_max_ttl": "1h", "sessions_per_user": 1, "max_body_bytes": 100}, "blog": {}},
		"keys": [
			{"sha256": %q, "tenant": "shop", "scopes": ["read", "write"]},
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
	if err := ring.Reload(); err == nil {
		t.Error("a broken file was accepted")
	}
	f.do("GET", "/v1/sessions/"+id, "", as("shop-app")...).want(200)
	writeKeys(t, path, strings.Replace(text, hashOf("shop-reader"), hashOf("new-reader"), 1))
	if err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	f.do("GET", "/v1/sessions/"+id, "", as("shop-reader")...).wantProblem(401, "unauthorized")
	f.do("GET", "/v1/sessions/"+id, "", as("new-reader")...).want(200)

	for _, key := range []string{"shop-app", "new-reader", "blog-admin"} {
		if strings.Contains(f.log.String(), key) {
			t.Errorf("the key %s is in the log", key)
		}
	}
	f.do("GET", "/livez", "").want(200) // needs no key
}
