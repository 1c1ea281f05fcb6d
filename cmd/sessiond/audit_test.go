package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// auditLines returns the lines of an audit log, each as "action step outcome detail", in which a missing field is "-".
func auditLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		short := fields["action"].(string)
		for _, name := range []string{"step", "outcome", "detail"} {
			if v, ok := fields[name].(string); ok {
				short += " " + v
			} else {
				short += " -"
			}
		}
		lines = append(lines, short)
	}
	return lines
}

// runUntilEnd runs the program until the test ends. It returns the URL that it serves at, and its log.
func runUntilEnd(t *testing.T, args ...string) (url string, log *syncBuffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log = new(syncBuffer)
	done := make(chan int)
	go func() {
		done <- run(ctx, append([]string{"--listen", "127.0.0.1:0", "--drain-delay", "0"}, args...), io.Discard, log)
	}()
	t.Cleanup(func() { cancel(); <-done })
	addr := regexp.MustCompile(`msg=serving addr=(\S+)`)
	polltest.Eventually(t, "the service serves", func() bool { return addr.MatchString(log.String()) })
	return "http://" + addr.FindStringSubmatch(log.String())[1], log
}

func hangUp(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// The audit log holds what callers and signals did, names users by a hash, and is opened again on SIGHUP.
func TestAuditLog(t *testing.T) {
	dir := t.TempDir()
	keyFile, auditKey, log := filepath.Join(dir, "keys.json"), filepath.Join(dir, "audit.key"), filepath.Join(dir, "audit.log")
	const secret = "0123456789abcdef"
	if err := os.WriteFile(auditKey, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, keyFile, "first", `"id": "of-first", "scopes": ["read", "write"]`)
	url, said := runUntilEnd(t, "--embedded", "--key-file", keyFile, "--audit-log", log, "--audit-key-file", auditKey, "--audit-required")
	if status, _, body := call(t, "DELETE", url+"/v1/users/alice/sessions", "", "Authorization", "Bearer first"); status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	call(t, "GET", url+"/v1/sessions", "", "Authorization", "Bearer first")
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("alice"))
	if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), fmt.Sprintf(`"user":"%x"`, mac.Sum(nil))) != 2 || strings.Contains(string(text), "alice") {
		t.Errorf("%v: %s", err, text)
	}

	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, keyFile, "second", `"id": "of-second", "scopes": ["read"]`)
	hangUp(t)
	polltest.Eventually(t, "the keys are read again", func() bool { return strings.Contains(said.String(), "key file reloaded") })
	if err := os.WriteFile(keyFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp(t)
	polltest.Eventually(t, "the file is refused", func() bool { return strings.Contains(said.String(), "keeping the current keys") })

	want := []string{"revoke-user before - -", "revoke-user after done sessions: 0", "refuse - forbidden -"}
	if got := auditLines(t, log+".1"); !slices.Equal(got, want) {
		t.Errorf("the log that was moved away has\n%s", strings.Join(got, "\n"))
	}
	got := auditLines(t, log)
	if len(got) != 4 || !strings.HasPrefix(got[3], "reload-keys after failed "+keyFile) {
		t.Fatalf("the new log has\n%s", strings.Join(got, "\n"))
	}
	want = []string{"reload-keys before - -", "reload-keys after done keys added: of-second; keys removed: of-first", "reload-keys before - -"}
	if !slices.Equal(got[:3], want) {
		t.Errorf("the new log has\n%s", strings.Join(got, "\n"))
	}
}

// full is a file that can be opened and not be written.
func full(t *testing.T) string {
	const name = "/dev/full"
	if _, err := os.Stat(name); err != nil {
		t.Skip("this system has no ", name)
	}
	return name
}

// With --audit-required nothing is revoked and no key file is read when the audit log cannot be written.
func TestAuditRequired(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, keyFile, "first", `"scopes": ["read", "write"]`)
	url, said := runUntilEnd(t, "--embedded", "--key-file", keyFile, "--audit-log", full(t), "--audit-required")
	key := []string{"Authorization", "Bearer first"}
	status, header, body := call(t, "POST", url+"/v1/sessions", `{"user":"alice"}`, key...)
	if status != http.StatusCreated {
		t.Fatalf("got %d %s", status, body)
	}
	if status, _, body := call(t, "DELETE", url+"/v1/users/alice/sessions", "", key...); status != http.StatusServiceUnavailable || !strings.Contains(body, "audit-unavailable") {
		t.Errorf("got %d %s", status, body)
	}
	writeKeys(t, keyFile, "second", `"scopes": ["read"]`)
	hangUp(t)
	polltest.Eventually(t, "the keys are not read", func() bool { return strings.Contains(said.String(), "the key file is not read") })
	if status, _, body := call(t, "GET", url+"/v1/sessions/"+header.Get("Session-ID"), "", key...); status != http.StatusOK {
		t.Errorf("the session is gone, or the key: %d %s", status, body)
	}
}

// What the service asks replicas for has lines too, and is not asked for without them where they are required.
func TestTakeoversAreAudited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open := func(flags auditFlags) watch.Permit {
		log, err := flags.open(slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { log.Close() })
		return permitTakeovers(log)
	}
	permit := open(auditFlags{AuditLog: path})
	for _, forced := range []bool{false, true} {
		done, err := permit(watch.Takeover{Shard: "0", Replica: "redis-4.vm3", Master: "redis-1.vm1", Forced: forced})
		if err != nil {
			t.Fatal(err)
		}
		if !forced {
			done(errors.New("no agreement"))
			continue
		}
		done(nil)
	}
	want := []string{
		"ask-failover before - from redis-1.vm1", "ask-failover after failed no agreement",
		"force-failover before - from redis-1.vm1", "force-failover after done from redis-1.vm1",
	}
	if got := auditLines(t, path); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), `"by":"service","shard":"0","node":"redis-4.vm3"`) != 4 {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := open(auditFlags{AuditLog: full(t), AuditRequired: true})(watch.Takeover{}); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("without its line: %v", err)
	}
	if done, err := open(auditFlags{})(watch.Takeover{}); err != nil {
		t.Errorf("without an audit log: %v", err)
	} else {
		done(nil)
	}
}
