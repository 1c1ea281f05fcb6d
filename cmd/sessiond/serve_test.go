package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/internal/polltest"
)

// parse reads a command line as the program does. At the end of a test, it does not wait for callers to leave.
func parse(t *testing.T, args ...string) serveCmd {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.DefaultEnvars("SESSIOND"), kong.Vars{"version": "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve", "--listen=127.0.0.1:0", "--drain-delay=0"}, args...)); err != nil {
		t.Fatal(err)
	}
	return c.Serve
}

// serve starts the program until the test ends and returns its URL and its log.
func serve(t *testing.T, cfg serveCmd) (url string, log *syncBuffer) {
	t.Helper()
	log = new(syncBuffer)
	p, err := start(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.drain(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-p.failed:
			t.Error(err)
		default:
		}
	})
	return "http://" + p.addr.String(), log
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// call sends a request with a JSON body, or none, and returns the status, the header and the body.
func call(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(b)
}

func TestEmbedded(t *testing.T) {
	url, log := serve(t, parse(t, "--embedded"))
	status, header, body := call(t, "POST", url+"/v1/sessions", `{"data":1,"idle_ttl":2}`)
	if status != http.StatusCreated {
		t.Fatalf("got %d %s", status, body)
	}
	id := header.Get("Session-ID")
	if status, _, body := call(t, "GET", url+"/v1/sessions/"+id, ""); status != http.StatusOK {
		t.Errorf("got %d %s", status, body)
	}
	polltest.Eventually(t, "the session expires in real time", func() bool {
		status, _, _ := call(t, "GET", url+"/v1/sessions/"+id+"?touch=false", "")
		return status == http.StatusNotFound
	})
	if status, _, body := call(t, "GET", url+"/readyz", ""); status != http.StatusOK {
		t.Errorf("got %d %s", status, body)
	}
	if !strings.Contains(log.String(), "not for production") {
		t.Errorf("the log does not say what the embedded store is not: %s", log)
	}
	if strings.Contains(log.String(), id) {
		t.Errorf("the ID is in the log")
	}
}

func TestHealthcheck(t *testing.T) {
	url, _ := serve(t, parse(t, "--embedded"))
	listen := strings.TrimPrefix(url, "http://")
	_, port, _ := net.SplitHostPort(listen)
	for _, addr := range []string{listen, ":" + port, "0.0.0.0:" + port} {
		if code := run(t.Context(), []string{"healthcheck", "--listen", addr}, io.Discard, io.Discard); code != 0 {
			t.Errorf("%s: exit status %d", addr, code)
		}
	}
	if code := run(t.Context(), []string{"healthcheck", "--listen", "127.0.0.1:1"}, io.Discard, io.Discard); code != 1 {
		t.Errorf("nobody there: exit status %d", code)
	}
}

// A wrong command line stops the start with one line that says why.
func TestWrongFlags(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		args string
		code int
		why  string
	}{
		{"", 2, "--redis"},
		{"--bogus", 2, "--bogus"},
		{"--embedded --listen 0.0.0.0:0", 2, "--insecure-no-auth"},
		{"--embedded --key-file /nonexistent", 1, "--key-file"},
		{"--embedded --redis a:1", 2, "cannot be combined"},
		{"--redis nohostport", 2, "not host:port"},
		{"--embedded --request-timeout nonsense", 2, "--request-timeout"},
		{"--embedded --request-timeout=-1s", 2, "must be positive"},
		{"--embedded --request-timeout=60001ms", 2, "must be at most 1m0s"},
		{"--embedded --max-body-bytes 0", 2, "must be positive"},
		{"--embedded --log-requests -1 --max-body-bytes 0", 2, "must be positive"},
		{"--embedded --max-connections=-1", 2, "must not be negative"},
		{"--embedded --requests-per-second=-1", 2, "negative"},
		{"--embedded --max-sessions 5 --census 0", 2, "need a --census"},
		{"--embedded --ttl-limit 1m", 2, "above the limit"},
		{"--embedded --tenant a:b", 2, "tenant name"},
		{"--embedded --log-level loud", 2, "--log-level"},
		{"--embedded --pool-size 0", 2, "--pool-size"},
		{"--redis a:1 --redis-ca-file /nonexistent", 1, "--redis-ca-file"},
		{"--embedded --tls-cert-file a", 2, "need each other"},
		{"--embedded --tls-client-ca-file a", 2, "needs --tls-cert-file"},
		{"--embedded --tls-cert-file /nonexistent --tls-key-file /nonexistent", 1, "--tls-cert-file"},
		{"--embedded --redis-server-name a", 2, "cannot be combined"},
		{"--redis a:1 --redis-password a --redis-password-file b", 2, "only one of"},
		{"--redis a:1 --redis-username a --redis-username-file b", 2, "only one of"},
		{"--redis a:1 --redis-cert-file a", 2, "need each other"},
		{"--redis a:1 --redis-password-file /nonexistent", 1, "--redis-password-file"},
		{"--redis a:1 --redis-password-command /nonexistent", 1, "--redis-password-command"},
		{"--redis a:1 --redis-password-command false", 1, "exit status 1"},
		{"--embedded --listen nonsense", 1, "missing port"},
		{"--redis a:notaport", 2, "not host:port"},
		{"--embedded --listen " + taken.Addr().String(), 1, "address already in use"},
		{"--embedded --ops-listen " + taken.Addr().String(), 1, "--ops-listen"},
		{"--embedded --audit-required", 2, "need --audit-log"},
		{"--embedded --audit-log - --audit-users plain --audit-key-file x", 2, "of no use"},
		{"--embedded --audit-log /nonexistent/log", 1, "--audit-log"},
		{"--embedded --audit-log - --audit-key-file /dev/null", 1, "--audit-key-file"},
		{"cluster rebalance --redis a:1 --audit-required", 2, "need --audit-log"},
		{"cluster init --shard nonsense", 1, "not host:port"},
		{"cluster status", 1, "--redis"},
	} {
		var stderr bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // if it starts after all, it stops at once
		code := run(ctx, strings.Fields(c.args), io.Discard, &stderr)
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		why := lines[len(lines)-1]
		if code != c.code || !strings.HasPrefix(why, "sessiond: ") || !strings.Contains(why, c.why) {
			t.Errorf("%q: exit status %d, %q; want %d, %q", c.args, code, why, c.code, c.why)
		}
		if len(lines) != 1 {
			t.Errorf("%q: %d lines: %s", c.args, len(lines), stderr.String())
		}
	}
}

func TestFlagsFromTheEnvironment(t *testing.T) {
	t.Setenv("SESSIOND_REDIS", "a:1,b:2")
	t.Setenv("SESSIOND_REQUEST_TIMEOUT", "3s")
	t.Setenv("SESSIOND_DEFAULT_IDLE_TTL", "1m")
	cfg := parse(t)
	if fmt.Sprint(cfg.Redis.Redis) != "[a:1 b:2]" || cfg.RequestTimeout != 3*time.Second || cfg.DefaultIdleTTL != time.Minute {
		t.Errorf("got %+v", cfg)
	}
}

// With Redis down the service starts, says that it is not ready, answers 503, and serves as soon as Redis is there.
func TestStartWithoutRedis(t *testing.T) {
	redis := miniredis.RunT(t)
	var up atomic.Bool
	cfg := parse(t, "--redis", redis.Addr(), "--request-timeout", "300ms")
	cfg.Redis.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !up.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	url, _ := serve(t, cfg)
	if status, _, body := call(t, "GET", url+"/livez", ""); status != http.StatusOK {
		t.Errorf("livez: got %d %s", status, body)
	}
	if status, _, body := call(t, "GET", url+"/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "no node") {
		t.Errorf("readyz: got %d %s", status, body)
	}
	status, header, body := call(t, "POST", url+"/v1/sessions", `{}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, "urn:sessiond:unavailable") {
		t.Errorf("create: got %d %v %s", status, header, body)
	}

	up.Store(true)
	polltest.Eventually(t, "the service is ready", func() bool {
		status, _, _ := call(t, "GET", url+"/readyz", "")
		return status == http.StatusOK
	})
	polltest.Eventually(t, "the service serves", func() bool {
		status, _, _ := call(t, "POST", url+"/v1/sessions", `{}`)
		return status == http.StatusCreated
	})
}

// SIGTERM ends the context: requests in progress are answered first.
func TestRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stderr := new(syncBuffer)
	done := make(chan int)
	go func() { done <- run(ctx, []string{"--embedded", "--listen", "127.0.0.1:0"}, io.Discard, stderr) }()
	polltest.Eventually(t, "the service serves", func() bool { return strings.Contains(stderr.String(), "msg=serving") })
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}
