package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// timed is the context of a call whose deadline is in a second.
func timed(parent context.Context) *callContext {
	c := &call{}
	c.ctx.Context, c.ctx.call, c.ctx.deadline = parent, c, time.Now().Add(time.Second)
	return &c.ctx
}

// The deadline passes whether somebody waits for it or not.
func TestDeadlineOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := timed(t.Context())
		defer c.end()
		if at, ok := c.Deadline(); !ok || time.Until(at) != time.Second || c.Err() != nil || callIn(c) != c.call {
			t.Errorf("before: %v, %t, %v", at, ok, c.Err())
		}
		derived, cancel := context.WithCancel(c)
		defer cancel()
		time.Sleep(time.Second)
		<-derived.Done()
		if !errors.Is(derived.Err(), context.DeadlineExceeded) || !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Errorf("after: %v, %v", derived.Err(), c.Err())
		}
		if callIn(derived) != c.call {
			t.Error("a context that is derived has lost the call")
		}

		unwatched := timed(t.Context())
		defer unwatched.end()
		time.Sleep(time.Second)
		if !errors.Is(unwatched.Err(), context.DeadlineExceeded) {
			t.Errorf("nobody waited: %v", unwatched.Err())
		}
		<-unwatched.Done()
	})
}

// A caller who leaves ends the call before its deadline.
func TestCallerLeaves(t *testing.T) {
	for _, waited := range []bool{true, false} {
		parent, leave := context.WithCancel(t.Context())
		c := timed(parent)
		defer c.end()
		if waited {
			_ = c.Done()
		}
		leave()
		if !errors.Is(c.Err(), context.Canceled) {
			t.Errorf("waited %t: %v", waited, c.Err())
		}
		<-c.Done()
	}
}

// What derives a context from a call's takes no goroutine for it.
func TestDerivingTakesNoGoroutine(t *testing.T) {
	c := timed(t.Context())
	defer c.end()
	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithCancel(c)
		defer cancel()
	}
	if n := runtime.NumGoroutine(); n > before+50 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// Without a deadline it is the request's context.
func TestCallWithoutADeadline(t *testing.T) {
	parent, leave := context.WithCancel(t.Context())
	c := &callContext{Context: parent}
	if _, ok := c.Deadline(); ok || c.Err() != nil || c.Done() != parent.Done() {
		t.Error("it has a deadline")
	}
	leave()
	if c.Err() == nil {
		t.Error("the caller has left")
	}
}

// The values of headers lie side by side, and what is added to one of them does not reach the next.
func TestHeadersOfAnAnswerAreApart(t *testing.T) {
	c, h := new(call), http.Header{}
	want := http.Header{}
	for _, name := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} {
		c.setHeader(h, name, "of "+name)
		want[name] = []string{"of " + name}
	}
	c.setHeader(h, "Empty", "")
	h.Add("A", "more")
	want.Add("A", "more")
	if !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("got %v", h)
	}
}

// A problem names a header as the documents do, whatever Go calls it.
func TestProblemsSpellHeadersAsTheDocuments(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/session", nil)
	for _, name := range []string{"Session-ID", "Last-Event-ID", "Idempotency-Key"} {
		r.Header.Add(name, "one")
		r.Header.Add(name, "two")
		if _, _, err := single(r, http.CanonicalHeaderKey(name)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
