package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
)

// Of many good requests only a few are logged, with a count of the others; every failed or slow request is logged.
func TestLogIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &requestLog{log: slog.New(slog.NewJSONHandler(&out, nil)), slow: 100 * time.Millisecond, limit: 3}
		request := func(status int, took time.Duration) {
			c := &call{recorder: recorder{status: status}, start: time.Now(), requestID: fmt.Sprintf("%d-%s", status, took)}
			l.write(httptest.NewRequest("GET", "/", nil), c, took)
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		for range 10 {
			request(200, time.Millisecond)
		}
		request(404, time.Millisecond) // the caller's error is none of ours
		request(503, time.Millisecond)
		request(200, 100*time.Millisecond)
		time.Sleep(time.Second)
		request(200, time.Millisecond)

		var got []string
		for line := range strings.Lines(out.String()) {
			var fields struct {
				RequestID string `json:"request_id"`
				Omitted   int    `json:"omitted"`
			}
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %d", fields.RequestID, fields.Omitted))
		}
		want := []string{"200-1ms 0", "200-1ms 0", "200-1ms 0", "503-1ms 8", "200-100ms 0", "200-1ms 0"}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// An outage fails every request. That must not fill the disk, and no failure goes uncounted.
func TestLogOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines, omitted := &requestLog{limit: 3}, 0, int64(0)
		for range 10 {
			for range 1000 {
				if left, ok := l.admit(time.Now(), true); ok {
					lines, omitted = lines+1, omitted+left
				}
			}
			time.Sleep(time.Second)
		}
		if lines != 10*failureLines || omitted != 9*(1000-failureLines) {
			t.Errorf("%d lines, which tell of %d more", lines, omitted)
		}
		if _, ok := l.admit(time.Now(), false); !ok {
			t.Error("the others have no lines of their own")
		}
	})
}

func TestLogOfEverything(t *testing.T) {
	l := &requestLog{limit: -1}
	for range 1000 {
		if _, ok := l.admit(time.Now(), false); !ok {
			t.Fatal("a line is missing")
		}
	}
}

// traced makes the API record its spans.
func traced(recorder *tracetest.SpanRecorder) func(*Config) {
	return func(c *Config) { c.Tracing = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)) }
}

// A request makes one span below its caller's, and one for each read or write below that. No span holds an ID.
func TestSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	f := newFixture(t, traced(recorder))
	id := f.do("POST", "/v1/sessions", `{"user":"alice"}`).id()
	f.do("GET", "/v1/sessions/"+id, "", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").want(200)
	f.do("GET", "/v1/session", "", "Session-ID", "unknown-0123456789-0123456789").want(404)
	f.store.err = cluster.ErrOutcomeUnknown
	f.do("PUT", "/v1/sessions/"+id, `{}`).want(503)

	names := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range recorder.Ended() {
		names[s.Name()] = s
		if text := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()); strings.Contains(text, id) {
			t.Errorf("a span holds an ID: %s", text)
		}
	}
	get, read := names["GET /v1/sessions/{id}"], names["redis read"]
	if get == nil || read == nil || names["redis write"] == nil || names["POST /v1/sessions"] == nil {
		t.Fatalf("got spans %v", names)
	}
	if got := get.SpanContext().TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" || get.Parent().SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("the span is not below its caller's: trace %s, parent %s", got, get.Parent().SpanID())
	}
	if names["GET /v1/session"] == nil || names["GET /v1/session"].Status().Code == codes.Error {
		t.Error("a 404 marks the span as failed")
	}
	put := names["PUT /v1/sessions/{id}"]
	if put == nil || put.Status().Code != codes.Error || put.Status().Description != "outcome-unknown" {
		t.Errorf("got %v", put)
	}
	for _, want := range []attribute.KeyValue{attribute.Int("http.response.status_code", 503), attribute.String("http.route", "/v1/sessions/{id}")} {
		if !hasAttribute(put, want) {
			t.Errorf("%v is missing in %v", want, put.Attributes())
		}
	}
}

func hasAttribute(s sdktrace.ReadOnlySpan, want attribute.KeyValue) bool {
	for _, a := range s.Attributes() {
		if a == want {
			return true
		}
	}
	return false
}

// Without tracing a request takes no more memory for it.
func TestNoTracingCostsNothing(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	ctx := context.WithValue(r.Context(), callKey{}, new(call))
	var off *tracer
	if n := testing.AllocsPerRun(100, func() {
		_, span := off.begin(ctx, r)
		endSpan(span, r, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// exemplars are those of the latency, of all routes.
func (f *fixture) exemplars() []string {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	var found []string
	add := func(e *dto.Exemplar) {
		for _, l := range e.GetLabel() {
			found = append(found, l.GetName()+"="+l.GetValue())
		}
	}
	for _, family := range families {
		if family.GetName() != "sessiond_http_request_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				add(b.GetExemplar())
			}
		}
	}
	return found
}

func TestExemplars(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	f := newFixture(t, traced(recorder))
	f.do("POST", "/v1/sessions", `{}`).want(201)
	if got, want := fmt.Sprint(f.exemplars()), "[trace_id="+recorder.Ended()[0].SpanContext().TraceID().String()+"]"; got != want {
		t.Errorf("traced: got %s, want %s", got, want)
	}
	f = newFixture(t, func(c *Config) { c.SlowRequest = time.Nanosecond })
	f.do("POST", "/v1/sessions", `{}`, "X-Request-Id", "slow-one").want(201)
	if got := fmt.Sprint(f.exemplars()); got != "[request_id=slow-one]" {
		t.Errorf("slow: got %s", got)
	}
	f = newFixture(t, func(c *Config) { c.SlowRequest = time.Hour })
	f.do("POST", "/v1/sessions", `{}`).want(201)
	if got := f.exemplars(); len(got) != 0 {
		t.Errorf("a request without a line in the log: got %s", got)
	}
}

// A caller who hangs up is no failure of ours.
func TestCallerHangsUp(t *testing.T) {
	f := newFixture(t)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	f.store.err = cluster.ErrUnavailable
	r := httptest.NewRequestWithContext(ctx, "GET", "/v1/sessions/0123456789012345678901", nil)
	f.handler.ServeHTTP(httptest.NewRecorder(), r)
	if n := f.counted("code", "499"); n != 1 || f.counted("code", "503") != 0 {
		t.Errorf("counted %v as 499", n)
	}
}

// counted sums the requests that have a label's value.
func (f *fixture) counted(label, value string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	sum := 0.
	for _, family := range families {
		if family.GetName() != "sessiond_http_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// anySession is a store in which every session is: the real one would take a minute for as many.
type anySession struct{ session.Store }

func (anySession) Create(_ context.Context, _ *session.Terms, ref session.Ref, n session.New, _ session.WriteKey) (session.Session, error) {
	return session.Session{Handle: ref.Handle, User: n.User, Version: 1}, nil
}

func (anySession) Get(_ context.Context, _ *session.Terms, ref session.Ref) (session.Session, error) {
	return session.Session{Handle: ref.Handle, Version: 1}, nil
}

// However many sessions, users, paths and methods there are, the number of series stays.
func TestSeriesDoNotGrowWithLoad(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Log, c.Store = slog.New(slog.DiscardHandler), anySession{c.Store} })
	visit := func(i int) {
		id := f.send("POST", "/v1/sessions", fmt.Sprintf(`{"user":"user-%d"}`, i))
		f.send("GET", "/v1/sessions/"+id, "")
		if i%10 != 0 {
			return
		}
		f.send("GET", fmt.Sprintf("/v1/users/user-%d/sessions", i), "")
		f.send(fmt.Sprintf("METHOD%d", i), "/v1/sessions/"+id, "")
		f.send("GET", fmt.Sprintf("/no/such/path/%d", i), "")
		f.send("GET", fmt.Sprintf("/v1/sessions/%%7B%d%%7D?x=%d", i, i), "")
		f.send("PUT", "/v1/sessions/"+id, fmt.Sprintf(`{"wrong-%d":1}`, i))
	}
	for i := range 100 {
		visit(i)
	}
	before := series(t, f.registry)
	for i := range 10_000 {
		visit(100 + i)
	}
	if after := series(t, f.registry); after != before {
		t.Errorf("%d series after 100 sessions, %d after 10,100", before, after)
	}
}

// send is do without the checks against the OpenAPI document, which take most of the time. It returns the ID, if the
// answer has one.
func (f *fixture) send(method, path, body string) string {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if w.Code >= http.StatusInternalServerError {
		f.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Header().Get("Session-ID")
}

func series(t *testing.T, r *prometheus.Registry) int {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, family := range families {
		n += len(family.GetMetric())
	}
	return n
}
