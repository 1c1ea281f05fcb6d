package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A fixture is the API over an embedded cluster, with a store that can be made to fail and a log that can be read.
type fixture struct {
	t        *testing.T
	handler  http.Handler
	ops      http.Handler // nil unless operations are apart
	store    *flakyStore
	embedded *clustertest.Embedded
	registry *prometheus.Registry
	log      *lockedBuffer
	client   *cluster.Client
	ready    func(context.Context) (watch.Snapshot, error)
	draining chan struct{}
	grant    func(bearer string) (keys.Grant, bool)
}

// newFixture makes one; options change what the API is made with.
func newFixture(t *testing.T, options ...func(*Config)) *fixture {
	t.Helper()
	e := clustertest.StartEmbedded(t)
	client := e.Client(t, cluster.Config{})
	f := &fixture{
		t: t, embedded: e, registry: prometheus.NewRegistry(), log: new(lockedBuffer),
		client: client, ready: client.Ready, draining: make(chan struct{}),
	}
	store := session.NewRedisStore(client, session.Options{Log: slog.New(slog.NewJSONHandler(f.log, nil)), Metrics: f.registry, Now: e.Now})
	t.Cleanup(func() { store.Close(context.Background()) })
	f.store = &flakyStore{Store: store}
	limits := keys.Limits{Policy: sessiontest.Policy, MaxBody: 4096}
	grant, err := keys.NewGrant("acme", keys.Read|keys.Write|keys.Admin, limits)
	if err != nil {
		t.Fatal(err)
	}
	f.grant = func(string) (keys.Grant, bool) { return grant, true }
	cfg := Config{
		Store:    f.store,
		Grant:    func(bearer string) (keys.Grant, bool) { return f.grant(bearer) },
		Ready:    func(ctx context.Context) (watch.Snapshot, error) { return f.ready(ctx) },
		State:    client.Snapshot,
		Events:   client.Events(),
		Draining: f.draining,
		Deadline: 5 * time.Second,
		Log:      slog.New(slog.NewJSONHandler(f.log, nil)),
		Metrics:  f.registry,
	}
	for _, change := range options {
		change(&cfg)
	}
	f.handler, f.ops = New(cfg)
	return f
}

// flakyStore fails with err, before or after it has let the call through: afterwards is what a timeout does.
type flakyStore struct {
	session.Store
	err   error
	after bool
}

// fail calls op, unless it is to fail before.
func (s *flakyStore) fail(op func() (session.Session, error)) (session.Session, error) {
	if s.err == nil {
		return op()
	}
	if s.after {
		op()
	}
	return session.Session{}, s.err
}

func (s *flakyStore) Create(ctx context.Context, terms *session.Terms, ref session.Ref, n session.New, key session.WriteKey) (session.Session, error) {
	return s.fail(func() (session.Session, error) { return s.Store.Create(ctx, terms, ref, n, key) })
}

func (s *flakyStore) Replace(ctx context.Context, terms *session.Terms, ref session.Ref, c session.Content, ttl session.TTL, w session.Write) (session.Session, error) {
	return s.fail(func() (session.Session, error) { return s.Store.Replace(ctx, terms, ref, c, ttl, w) })
}

func (s *flakyStore) Delete(ctx context.Context, terms *session.Terms, ref session.Ref, d session.Deletion) error {
	_, err := s.fail(func() (session.Session, error) { return session.Session{}, s.Store.Delete(ctx, terms, ref, d) })
	return err
}

func (s *flakyStore) Get(ctx context.Context, terms *session.Terms, ref session.Ref) (session.Session, error) {
	if s.err == nil {
		return s.Store.Get(ctx, terms, ref)
	}
	return session.Session{}, s.err
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A response is an answer and what it answers.
type response struct {
	t *testing.T
	*http.Response
	request *http.Request
	body    []byte
}

// do sends a request and checks the answer, and the request if it was accepted, against the OpenAPI document. headers
// are names and values in turn.
func (f *fixture) do(method, path, body string, headers ...string) response {
	f.t.Helper()
	got := f.raw(method, path, body, headers...)
	checkAgainstOpenAPI(f.t, body, got)
	return got
}

// raw is do without the document.
func (f *fixture) raw(method, path, body string, headers ...string) response {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			r.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return response{f.t, w.Result(), r, w.Body.Bytes()}
}

var loadOpenAPI = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

func checkAgainstOpenAPI(t *testing.T, body string, got response) {
	t.Helper()
	r := got.request
	router, err := loadOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if got.StatusCode != 404 && got.StatusCode != 405 {
			t.Errorf("%s %s answered %d but is not in the document: %v", r.Method, r.URL.Path, got.StatusCode, err)
		}
		return
	}
	r.Body = io.NopCloser(strings.NewReader(body))
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if got.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("%s %s was accepted, but the document says: %v", r.Method, r.URL.Path, err)
		}
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.StatusCode, Header: got.Header,
		Body: io.NopCloser(bytes.NewReader(got.body)), Options: options,
	})
	if err != nil {
		t.Errorf("the answer of %s %s is not in the document: %v", r.Method, r.URL.Path, err)
	}
}

func (r response) want(status int) response {
	r.t.Helper()
	if r.StatusCode != status {
		r.t.Fatalf("got %d %s, want %d", r.StatusCode, r.body, status)
	}
	return r
}

func (r response) wantProblem(status int, kind string) map[string]any {
	r.t.Helper()
	r.want(status)
	p := r.json()
	if p["type"] != "urn:sessiond:"+kind || p["status"] != float64(status) || p["request_id"] != r.Header.Get("X-Request-Id") {
		r.t.Fatalf("got problem %s, want %s", r.body, kind)
	}
	if r.Header.Get("Content-Type") != "application/problem+json" {
		r.t.Errorf("got content type %s", r.Header.Get("Content-Type"))
	}
	return p
}

func (r response) json() map[string]any {
	r.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		r.t.Fatalf("%s: %v", r.body, err)
	}
	return m
}

func (r response) id() string {
	r.t.Helper()
	id, _ := r.want(http.StatusCreated).json()["id"].(string)
	return id
}
