package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// withAudit gives the API an audit log in a file, and a store that looks at it.
func withAudit(t *testing.T, cfg audit.Config) (option func(*Config), store *watchedStore) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	if cfg.Open == nil {
		cfg.Open = audit.File(path, nil)
	}
	log, err := audit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	store = &watchedStore{t: t, path: path}
	return func(c *Config) { store.Store, c.Store, c.Audit = c.Store, store, log }, store
}

// A watchedStore reads the audit log when it is called, and can fail.
type watchedStore struct {
	session.Store
	t    *testing.T
	path string
	err  error
	seen [][]map[string]any // the lines at each call
}

func (s *watchedStore) lines() (lines []map[string]any) {
	s.t.Helper()
	text, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var l map[string]any
		if err := json.Unmarshal(line, &l); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func (s *watchedStore) RevokeUser(ctx context.Context, terms *session.Terms, t *session.Tenant, user string, except session.Handle) (int, error) {
	s.seen = append(s.seen, s.lines())
	if s.err != nil {
		return 7, s.err // a part, before it failed
	}
	return s.Store.RevokeUser(ctx, terms, t, user, except)
}

func (s *watchedStore) RevokeHandle(ctx context.Context, terms *session.Terms, user string, h session.Handle) error {
	s.seen = append(s.seen, s.lines())
	return s.Store.RevokeHandle(ctx, terms, user, h)
}

func (s *watchedStore) Walk(ctx context.Context, terms *session.Terms, t *session.Tenant, cursor string, limit int) ([]session.Handle, string, error) {
	s.seen = append(s.seen, s.lines())
	return s.Store.Walk(ctx, terms, t, cursor, limit)
}

// Each act has a line on disk before the store is called, and one with the outcome after.
func TestActsAreAudited(t *testing.T) {
	option, store := withAudit(t, audit.Config{PlainUsers: true})
	f := newFixture(t, option)
	withScopes(t, f)
	as := []string{"Authorization", "Bearer callers", "X-Request-Id", "req-1"}
	var handles []string
	for range 3 {
		handles = append(handles, f.do("POST", "/v1/sessions", `{"user":"alice"}`, as...).want(201).json()["handle"].(string))
	}
	for _, c := range []struct {
		method, path, action, route, detail, outcome string
		session                                      any
		err                                          error
	}{
		{"GET", "/v1/sessions", "walk", "/v1/sessions", "sessions: 3", "done", nil, nil},
		{"DELETE", "/v1/users/alice/sessions/" + handles[0], "revoke-handle", "/v1/users/{user}/sessions/{handle}", "", "done", handles[0], nil},
		{"DELETE", "/v1/users/alice/sessions?except=" + handles[1], "revoke-user", "/v1/users/{user}/sessions", "sessions: 1", "done", handles[1], nil},
		{"DELETE", "/v1/users/alice/sessions?except=" + handles[0], "revoke-user", "/v1/users/{user}/sessions", "", "not-found", handles[0], nil},
		{"DELETE", "/v1/users/alice/sessions", "revoke-user", "/v1/users/{user}/sessions", "sessions: 7", "outcome-unknown", nil, cluster.ErrOutcomeUnknown},
		{"DELETE", "/v1/users/alice/sessions", "revoke-user", "/v1/users/{user}/sessions", "sessions: 1", "done", nil, nil},
	} {
		had := len(store.lines())
		store.seen, store.err = nil, c.err
		f.do(c.method, c.path, "", as...)
		lines := store.lines()
		if len(store.seen) != 1 || len(store.seen[0]) != had+1 || len(lines) != had+2 {
			t.Fatalf("%s: the store was called %d times, with %d lines there, and then %d, after %d", c.action, len(store.seen), len(store.seen[0]), len(lines), had)
		}
		before, after := lines[had], lines[had+1]
		if before["step"] != "before" || after["step"] != "after" || before["outcome"] != nil || after["outcome"] != c.outcome || before["act"] != after["act"] {
			t.Errorf("%s: got %v and %v", c.action, before, after)
		}
		if detail, _ := after["detail"].(string); detail != c.detail {
			t.Errorf("%s: detail %q", c.action, detail)
		}
		user := any("alice")
		if c.action == "walk" {
			user = nil
		}
		for _, line := range []map[string]any{before, after} {
			for field, want := range map[string]any{
				"action": c.action, "by": "caller", "key": "callers-key", "tenant": "acme", "from": "192.0.2.1:1234", "request_id": "req-1",
				"call": c.method + " " + c.route, "user": user, "session": c.session,
			} {
				if line[field] != want {
					t.Errorf("%s: %s is %v, want %v", c.action, field, line[field], want)
				}
			}
		}
	}
}

// Where the audit log is required and cannot be written, nothing happens; where it is not, the act does.
func TestNoActWithoutItsLine(t *testing.T) {
	for _, required := range []bool{true, false} {
		option, store := withAudit(t, audit.Config{Required: required, Open: func() (io.WriteCloser, error) { return fullDisk{}, nil }})
		f := newFixture(t, option)
		handle := f.do("POST", "/v1/sessions", `{"user":"alice"}`).want(201).json()["handle"].(string)
		for _, call := range [][2]string{{"GET", "/v1/sessions"}, {"DELETE", "/v1/users/alice/sessions/" + handle}, {"DELETE", "/v1/users/alice/sessions"}} {
			got := f.do(call[0], call[1], "")
			if !required {
				continue
			}
			if p := got.wantProblem(503, "audit-unavailable"); p["retryable"] != true || got.Header.Get("Retry-After") == "" {
				t.Errorf("got %v", p)
			}
		}
		if n := len(store.seen); n != map[bool]int{true: 0, false: 3}[required] {
			t.Errorf("required %v: the store was called %d times", required, n)
		}
		if left := len(f.do("GET", "/v1/users/alice/sessions", "").want(200).handles()); left != map[bool]int{true: 1, false: 0}[required] {
			t.Errorf("required %v: %d sessions left", required, left)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }
func (fullDisk) Close() error              { return nil }

// Each 401 and 403 has a line, which says who was refused, and holds no secret.
func TestRefusalsAreAudited(t *testing.T) {
	option, store := withAudit(t, audit.Config{})
	f := newFixture(t, option, func(c *Config) { c.Ops = OpsByKey })
	withScopes(t, f)
	id := f.do("POST", "/v1/sessions", `{"user":"alice"}`, "Authorization", "Bearer callers").id()
	had := len(store.lines())
	f.do("GET", "/v1/sessions/"+id, "", "Authorization", "Bearer stolen-key").wantProblem(401, "unauthorized")
	f.do("GET", "/v1/sessions/"+id, "", "Authorization", "Bearer expired").wantProblem(401, "unauthorized")
	f.do("GET", "/v1/sessions/"+id, "", "Authorization", "Bearer operators").wantProblem(403, "forbidden")
	f.do("GET", "/metrics", "", "Authorization", "Bearer callers").wantProblem(403, "forbidden")
	f.do("DELETE", "/v1/sessions/"+id, "", "Authorization", "Bearer callers", "Sec-Fetch-Site", "cross-site").wantProblem(403, "foreign-origin")
	f.do("GET", "/v1/sessions/"+id, "", "Authorization", "Bearer callers").want(200)
	lines := store.lines()[had:]
	if len(lines) != 5 {
		t.Fatalf("got %v", lines)
	}
	for i, want := range []map[string]any{
		{"outcome": "unauthorized", "key": nil, "tenant": nil, "call": "GET /v1/sessions/{id}"},
		{"outcome": "unauthorized", "key": "expired-key", "tenant": nil, "call": "GET /v1/sessions/{id}"},
		{"outcome": "forbidden", "key": "operators-key", "tenant": "acme", "call": "GET /v1/sessions/{id}"},
		{"outcome": "forbidden", "key": "callers-key", "tenant": "acme", "call": "GET /metrics"},
		{"outcome": "foreign-origin", "key": nil, "tenant": nil, "call": "DELETE unmatched"},
	} {
		want["action"], want["by"], want["from"], want["step"] = "refuse", "caller", "192.0.2.1:1234", nil
		for field, value := range want {
			if lines[i][field] != value {
				t.Errorf("line %d: %s is %v, want %v", i, field, lines[i][field], value)
			}
		}
	}
	text, err := os.ReadFile(store.path)
	if err != nil || strings.Contains(string(text), id) || strings.Contains(string(text), "stolen") {
		t.Errorf("%v: a secret is in the audit log: %s", err, text)
	}
}
