package sessiond_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

// A double is an instance that answers what a test wants, and counts what it is asked.
type double struct {
	*httptest.Server
	asked atomic.Int64
	keys  chan string // the Idempotency-Keys that came
}

func newDouble(t *testing.T, answer http.HandlerFunc) *double {
	d := &double{keys: make(chan string, 100)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		d.keys <- r.Header.Get("Idempotency-Key")
		io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

// connect returns a client of instances.
func connect(t testing.TB, bases ...string) *sessiond.Client {
	t.Helper()
	c, err := sessiond.New(sessiond.Config{URLs: bases})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problem(status int, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"urn:sessiond:%s","title":"no","status":%d}`, kind, status)
	}
}

func fine(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("ETag", `"x.1"`)
	io.WriteString(w, `{"handle":"h","version":1,"idle_ttl":"30m0s","max_ttl":"24h0m0s"}`)
}

// broken ends the connection instead of answering.
func broken(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// gone is the URL of an instance whose process has ended.
func gone(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

var calls = map[string]func(context.Context, *sessiond.Client) error{
	"get": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Get(ctx, "an-id-of-22-characters")
		return err
	},
	"create": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Create(ctx, sessiond.NewSession{})
		return err
	},
	"replace": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Replace(ctx, "an-id-of-22-characters", sessiond.Content{}, sessiond.TTL{})
		return err
	},
	"patch": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Patch(ctx, "an-id-of-22-characters", sessiond.Content{})
		return err
	},
	"touch": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Touch(ctx, "an-id-of-22-characters", sessiond.TTL{})
		return err
	},
	"delete": func(ctx context.Context, c *sessiond.Client) error { return c.Delete(ctx, "an-id-of-22-characters") },
	"rotate": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Rotate(ctx, "an-id-of-22-characters")
		return err
	},
	"login": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.Login(ctx, "an-id-of-22-characters", "user")
		return err
	},
	"list": func(ctx context.Context, c *sessiond.Client) error {
		for _, err := range c.List(ctx, "user") {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"revoke all": func(ctx context.Context, c *sessiond.Client) error {
		_, err := c.RevokeUser(ctx, "user", "")
		return err
	},
}

// Whatever an instance cannot do, another one does; only a login is not sent again if it may have taken effect.
func TestAnotherInstanceServes(t *testing.T) {
	for what, bad := range map[string]func(*testing.T) string{
		"gone":          gone,
		"cut off":       func(t *testing.T) string { return newDouble(t, problem(503, "unavailable")).URL },
		"stopping":      func(t *testing.T) string { return newDouble(t, problem(503, "overloaded")).URL },
		"breaks":        func(t *testing.T) string { return newDouble(t, broken).URL },
		"does not know": func(t *testing.T) string { return newDouble(t, problem(503, "outcome-unknown")).URL },
		"a proxy without": func(t *testing.T) string {
			return newDouble(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }).URL
		},
	} {
		for name, call := range calls {
			t.Run(what+", "+name, func(t *testing.T) {
				good := newDouble(t, fine)
				c := connect(t, bad(t), good.URL)
				err := call(t.Context(), c)
				mayHave := what != "gone" && what != "cut off" && what != "stopping"
				if name == "login" && mayHave {
					if !errors.Is(err, sessiond.ErrOutcomeUnknown) || good.asked.Load() > 0 {
						t.Errorf("got %v, sent again %d times", err, good.asked.Load())
					}
					return
				}
				if err != nil || good.asked.Load() != 1 {
					t.Errorf("got %v; the other instance was asked %d times", err, good.asked.Load())
				}
			})
		}
	}
}

// An instance that could not serve is left alone for a while, and used again if the other fails.
func TestBadInstanceIsLeftAlone(t *testing.T) {
	bad, good := newDouble(t, problem(503, "unavailable")), newDouble(t, fine)
	c := connect(t, bad.URL, good.URL)
	for range 10 {
		if _, err := c.Get(t.Context(), "an-id-of-22-characters"); err != nil {
			t.Fatal(err)
		}
	}
	if bad.asked.Load() != 1 || good.asked.Load() != 10 {
		t.Errorf("asked %d and %d times", bad.asked.Load(), good.asked.Load())
	}
}

// An instance that does not answer is left once the client has lost its patience.
func TestSilentInstanceIsLeft(t *testing.T) {
	silent := newDouble(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	good := newDouble(t, fine)
	c, err := sessiond.New(sessiond.Config{URLs: []string{silent.URL, good.URL}, Patience: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "an-id-of-22-characters"); err != nil || silent.asked.Load() != 1 {
		t.Errorf("got %v after %d tries", err, silent.asked.Load())
	}
}

// A write that is sent again has the same key each time, so that it takes effect once.
func TestRepeatedWriteKeepsItsKey(t *testing.T) {
	bad, good := newDouble(t, problem(503, "outcome-unknown")), newDouble(t, fine)
	if _, err := connect(t, bad.URL, good.URL).Replace(t.Context(), "an-id-of-22-characters", sessiond.Content{}, sessiond.TTL{}); err != nil {
		t.Fatal(err)
	}
	if first, second := <-bad.keys, <-good.keys; first == "" || first != second {
		t.Errorf("keys %q and %q", first, second)
	}
}

// If no instance can serve until the deadline, the error says whether the call may have taken effect, and never that there is no session.
func TestNobodyServes(t *testing.T) {
	for kind, want := range map[string]error{"unavailable": sessiond.ErrUnavailable, "outcome-unknown": sessiond.ErrOutcomeUnknown} {
		bad := newDouble(t, problem(503, kind))
		c, err := sessiond.New(sessiond.Config{URLs: []string{bad.URL}, Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Replace(t.Context(), "an-id-of-22-characters", sessiond.Content{}, sessiond.TTL{})
		var p *sessiond.Problem
		if !errors.Is(err, want) || errors.Is(err, sessiond.ErrNotFound) || !errors.As(err, &p) || bad.asked.Load() < 3 {
			t.Errorf("%s: got %v after %d tries", kind, err, bad.asked.Load())
		}
	}
}

// A caller that leaves says nothing of the instance.
func TestCanceledCallIsNoFailure(t *testing.T) {
	asked := make(chan bool, 1)
	slow := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			asked <- true
			<-r.Context().Done()
			return
		}
		fine(w, r)
	})
	other := newDouble(t, fine)
	c := connect(t, slow.URL, other.URL)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := c.Get(ctx, "an-id-of-22-characters"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.Delete(t.Context(), "an-id-of-22-characters"); err != nil || other.asked.Load() > 0 {
		t.Errorf("got %v; the other instance was asked %d times", err, other.asked.Load())
	}
}

// An error says one thing: what an earlier attempt may have done is not undone by the last one.
func TestErrorsAreDistinct(t *testing.T) {
	n := 0
	bad := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			problem(503, "outcome-unknown")(w, r)
			return
		}
		problem(503, "unavailable")(w, r)
	})
	c, err := sessiond.New(sessiond.Config{URLs: []string{bad.URL}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Touch(t.Context(), "an-id-of-22-characters", sessiond.TTL{}); !errors.Is(err, sessiond.ErrOutcomeUnknown) || errors.Is(err, sessiond.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A redirect is no answer: nothing is sent where it leads.
func TestRedirectIsAnError(t *testing.T) {
	elsewhere := newDouble(t, fine)
	moved := newDouble(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusMovedPermanently)
	})
	if err := connect(t, moved.URL).Delete(t.Context(), "an-id-of-22-characters"); err == nil || elsewhere.asked.Load() > 0 {
		t.Errorf("got %v; followed %d times", err, elsewhere.asked.Load())
	}
}

// Nobody is asked for an ID that no session can have.
func TestMalformedIDs(t *testing.T) {
	d := newDouble(t, fine)
	c := connect(t, d.URL)
	for _, id := range []string{"", "short", "an-id-of-22-characters\n", "an id of 22 characters!"} {
		if _, err := c.Get(t.Context(), id); !errors.Is(err, sessiond.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
		if err := c.Delete(t.Context(), id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := c.CreateAt(t.Context(), id, sessiond.NewSession{}); err == nil || errors.Is(err, sessiond.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if d.asked.Load() > 0 {
		t.Errorf("asked %d times", d.asked.Load())
	}
}

// What is an answer is not asked for anew.
func TestAnswersAreFinal(t *testing.T) {
	for _, status := range []int{400, 401, 404, 409, 412, 422, 429, 500, 507} {
		bad, good := newDouble(t, problem(status, "some")), newDouble(t, fine)
		if _, err := connect(t, bad.URL, good.URL).Get(t.Context(), "an-id-of-22-characters"); err == nil || good.asked.Load() > 0 {
			t.Errorf("%d: got %v, asked another %d times", status, err, good.asked.Load())
		}
	}
}

func TestMalformedURLs(t *testing.T) {
	for _, urls := range [][]string{nil, {"sessiond:8080"}, {"http://"}, {"http://a", "ftp://b"}, {"http://a?b=c"}} {
		if _, err := sessiond.New(sessiond.Config{URLs: urls}); err == nil {
			t.Errorf("%q is accepted", urls)
		}
	}
}
