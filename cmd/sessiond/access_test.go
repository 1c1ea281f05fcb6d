package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/internal/polltest"
)

// Keys, secrets, and who may see what.

// With --ops-listen metrics, cluster and page are there, without a key, and nowhere else.
func TestOpsListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, "a key", `"scopes": ["read", "write"]`)
	p, err := start(parse(t, "--embedded", "--key-file", path, "--ops-listen", "127.0.0.1:0"), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	service, ops := "http://"+p.addr.String(), "http://"+p.opsAddr.String()
	var silent []net.Conn // which make room
	for range 2 * opsLimits.PerAddress {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.opsAddr.String())
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	for _, path := range []string{"/metrics", "/v1/cluster", "/v1/cluster/events", "/", "/readyz?verbose"} {
		if status, _, _ := call(t, "GET", service+path, "", "Authorization", "Bearer a key"); status != http.StatusNotFound {
			t.Errorf("%s: got %d from the service", path, status)
		}
		if status, _, body := call(t, "GET", ops+path, ""); status != http.StatusOK {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	_, _, metrics := call(t, "GET", ops+"/metrics", "")
	if open := regexp.MustCompile(`sessiond_connections\{listener="ops",use="silent"\} (\d+)`).FindStringSubmatch(string(metrics)); open == nil {
		t.Error("nobody counts the connections to the operations")
	} else if n, _ := strconv.Atoi(open[1]); n > opsLimits.PerAddress {
		t.Errorf("%d silent connections of one address are open", n)
	}
	for _, c := range silent {
		c.Close()
	}
	if status, _, _ := call(t, "GET", ops+"/debug/pprof/goroutine", ""); status != http.StatusNotFound {
		t.Errorf("profiles that nobody asked for: got %d", status)
	}
	if status, _, body := call(t, "POST", service+"/v1/sessions", `{}`, "Authorization", "Bearer a key"); status != http.StatusCreated {
		t.Errorf("got %d %s", status, body)
	}
	if status, _, _ := call(t, "POST", ops+"/v1/sessions", `{}`, "Authorization", "Bearer a key"); status != http.StatusNotFound {
		t.Errorf("sessions at --ops-listen: got %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", ops+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example" // as a page sends that resolves its own name to our address
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("at another name: %s", answer.Status)
	}
	if err := p.drain(); err != nil {
		t.Error(err)
	}
	for _, url := range []string{service, ops} {
		if _, err := http.Get(url + "/livez"); err == nil {
			t.Errorf("%s serves after the end", url)
		}
	}
}

// With a key file and without --ops-listen, they need a key with the scope ops.
func TestOpsNeedAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, "a key", `"scopes": ["ops"]`)
	url, _ := serve(t, parse(t, "--embedded", "--key-file", path))
	for _, path := range []string{"/metrics", "/v1/cluster", "/v1/cluster/events", "/", "/readyz?verbose"} {
		if status, _, _ := call(t, "GET", url+path, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d without a key", path, status)
		}
		if status, _, body := call(t, "GET", url+path, "", "Authorization", "Bearer a key"); status != http.StatusOK {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}

// writeKeys writes a key file with a tenant, shop, and one key of it. more are the key's other members.
func writeKeys(t *testing.T, path, key, more string) {
	t.Helper()
	text := fmt.Sprintf(`{"tenants":{"shop":{}},"keys":[{"sha256":"%x","tenant":"shop",%s}]}`, sha256.Sum256([]byte(key)), more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// With a key file a call needs a key, and SIGHUP reads the file again.
func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(key string) { writeKeys(t, path, key, `"id": "of-`+key+`", "scopes": ["write"]`) }
	write("first")
	url, stderr := runUntilEnd(t, "--embedded", "--key-file", path)
	create := func(key string) int {
		status, _, _ := call(t, "POST", url+"/v1/sessions", `{}`, "Authorization", "Bearer "+key)
		return status
	}
	if got := create("first"); got != http.StatusCreated {
		t.Errorf("got %d", got)
	}
	if got := create("second"); got != http.StatusUnauthorized {
		t.Errorf("got %d", got)
	}
	write("second")
	hangUp(t)
	polltest.Eventually(t, "the new key counts", func() bool { return create("second") == http.StatusCreated })
	if got := create("first"); got != http.StatusUnauthorized {
		t.Errorf("got %d", got)
	}
	polltest.Eventually(t, "the log says what changed", func() bool {
		return strings.Contains(stderr.String(), `change="keys added: of-second; keys removed: of-first"`)
	})
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp(t)
	polltest.Eventually(t, "the log says that the file is invalid", func() bool { return strings.Contains(stderr.String(), "keeping the current keys") })
	if got := create("second"); got != http.StatusCreated {
		t.Errorf("after a file that is invalid: got %d", got)
	}
}

// Instances that share secrets share sessions, and a new secret in front of the old one logs nobody out.
func TestSecretFile(t *testing.T) {
	redis := miniredis.RunT(t)
	const (
		first  = `{"id": "a", "secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}`
		second = `{"id": "b", "secret": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="}`
	)
	serveWith := func(list string, more ...string) (url string, log *syncBuffer) {
		path := filepath.Join(t.TempDir(), "secrets.json")
		if err := os.WriteFile(path, []byte(`{"secrets": [`+list+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		url, log = serve(t, parse(t, append([]string{"--redis", redis.Addr(), "--secret-file", path}, more...)...))
		polltest.Eventually(t, "the service is ready", func() bool {
			status, _, _ := call(t, "GET", url+"/readyz", "")
			return status == http.StatusOK
		})
		return url, log
	}
	old, _ := serveWith(first, "--record-format=1")
	status, header, body := call(t, "POST", old+"/v1/sessions", `{"user":"alice"}`)
	if status != http.StatusCreated {
		t.Fatalf("create: got %d %s", status, body)
	}
	id := header.Get("Session-ID")
	now, log := serveWith(second + "," + first)
	if status, _, body := call(t, "GET", now+"/v1/session", "", "Session-ID", id); status != http.StatusOK || !strings.Contains(body, "alice") {
		t.Errorf("after another secret: got %d %s", status, body)
	}
	if !strings.Contains(log.String(), "newest=b older=[a]") || strings.Contains(log.String(), "MDEy") {
		t.Errorf("the log says: %s", log)
	}
	other, _ := serveWith(second)
	if status, _, _ := call(t, "GET", other+"/v1/session", "", "Session-ID", id); status != http.StatusNotFound {
		t.Errorf("without its secret: got %d", status)
	}
	if _, err := start(parse(t, "--embedded", "--secret-file", filepath.Join(t.TempDir(), "none.json")), io.Discard); err == nil {
		t.Error("it starts without its secrets")
	}
}

// Profiles are for operators, where these are apart.
func TestProfiles(t *testing.T) {
	p, err := start(parse(t, "--embedded", "--ops-listen", "127.0.0.1:0", "--pprof"), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := call(t, "GET", "http://"+p.opsAddr.String()+"/debug/pprof/goroutine?debug=1", ""); status != http.StatusOK || !strings.Contains(string(body), "goroutine profile") {
		t.Errorf("got %d %.100s", status, body)
	}
	if status, _, _ := call(t, "GET", "http://"+p.opsAddr.String()+"/debug/pprof/cmdline", ""); status != http.StatusNotFound {
		t.Errorf("the command line, which may hold a password: got %d", status)
	}
	if status, _, _ := call(t, "GET", "http://"+p.addr.String()+"/debug/pprof/goroutine", ""); status != http.StatusNotFound {
		t.Errorf("at the service's own address: got %d", status)
	}
	if err := p.drain(); err != nil {
		t.Error(err)
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"serve", "--embedded", "--pprof"}, io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), "--ops-listen") {
		t.Errorf("without a second address: %d %s", code, &stderr)
	}
}
