package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTracingIsOptIn(t *testing.T) {
	for _, c := range []struct {
		env  string // NAME=value, with blanks between
		want bool
		bad  bool
	}{
		{"", false, false},
		{"OTEL_TRACES_EXPORTER=otlp", true, false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", true, false},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318/v1/traces", true, false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_TRACES_EXPORTER=none", false, false},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_SDK_DISABLED=true", false, false},
		{"OTEL_TRACES_EXPORTER=zipkin", false, true},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", true, false},
		{"OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, true},
	} {
		t.Run(c.env, func(t *testing.T) {
			for setting := range strings.FieldsSeq(c.env) {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			got, err := newTracing(slog.New(slog.DiscardHandler))
			if (got != nil) != c.want || (err != nil) != c.bad {
				t.Errorf("got %v, %v", got, err)
			}
			if got != nil {
				got.Shutdown(t.Context())
			}
		})
	}
}

// The spans of a request have reached the collector by the time that the service has stopped, under its name.
func TestSpansAreExported(t *testing.T) {
	received := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_SERVICE_NAME", "logins")
	p, err := start(parse(t, "--embedded"), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post("http://"+p.addr.String()+"/v1/sessions", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if err := p.drain(); err != nil {
		t.Fatal(err)
	}
	id := answer.Header.Get("Session-ID")
	select {
	case got := <-received:
		for _, want := range []string{"/v1/traces ", "POST /v1/sessions", "redis write", "logins"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in %q", want, got)
			}
		}
		if id == "" || strings.Contains(got, id) {
			t.Errorf("the ID %q is in what was exported", id)
		}
	default:
		t.Error("nothing was exported")
	}
}
