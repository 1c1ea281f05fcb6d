package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/keys"
)

// A call is one request in progress: what the middlewares have learnt about it, for those behind them and for its line in the log.
// It is the context, so that a request is copied once and not by each of them.
type call struct {
	recorder // of the answer
	ctx      callContext

	start     time.Time
	slow      time.Duration // a request that takes this long is slow
	requestID string
	route     string // the pattern that matched; empty until the answer is written
	handle    string // of the session, never its ID
	problem   string // kind of the problem document, if one was sent
	err       error  // the cause of the problem

	key         string     // ID of the caller's API key; empty until the caller is known, and without a key file
	tenant      string     // empty until the caller is known
	grant       keys.Grant // what the caller may do; without a tenant until it is known
	query       url.Values // nil if there is none
	preferences preferences
	place       *place // nil if there is no limit

	headers [6]string // values of headers of the answer, see setHeader
	taken   int       // how many of headers are
}

// setHeader sets a header of the answer, unless the value is empty. The name must be canonical. The call holds the values of the first
// few, which are all that most answers have, so that they take no memory of their own.
func (c *call) setHeader(h http.Header, name, value string) {
	switch {
	case value == "":
	case c.taken == len(c.headers):
		h[name] = []string{value}
	default:
		c.headers[c.taken] = value
		c.taken++
		h[name] = c.headers[c.taken-1 : c.taken : c.taken] // full, so that Header.Add copies
	}
}

// A callContext is the context of a call: it has the call, and from some point on a deadline. The deadline takes a timer only if somebody
// waits for it; most reads are answered before anybody does.
type callContext struct {
	context.Context // of the request as it came, with its span
	call            *call
	deadline        time.Time // zero for none; set before others have the context

	mu     sync.Mutex
	timed  context.Context // with a timer; nil until somebody waits; guarded by mu
	cancel context.CancelFunc
}

// Deadline implements [context.Context].
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

// Done implements [context.Context].
func (c *callContext) Done() <-chan struct{} {
	if c.deadline.IsZero() {
		return c.Context.Done()
	}
	return c.withTimer().Done()
}

// Err implements [context.Context].
func (c *callContext) Err() error {
	if c.deadline.IsZero() || time.Now().Before(c.deadline) && !c.hasTimer() {
		return c.Context.Err()
	}
	return c.withTimer().Err()
}

// Value implements [context.Context]. What derives a context from this one asks the one with the timer for itself, and so is ended by it
// without a goroutine.
func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c.call
	}
	if c.hasTimer() {
		return c.withTimer().Value(key)
	}
	return c.Context.Value(key)
}

func (c *callContext) hasTimer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timed != nil
}

func (c *callContext) withTimer() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.deadline)
	}
	return c.timed
}

// end stops the timer, if there is one.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}

type callKey struct{}

func callOf(r *http.Request) *call { return callIn(r.Context()) }

func callIn(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return new(call) // a test called a handler outside the router
}

// A recorder is a ResponseWriter that knows what was written.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header was written
	bytes  int // of the body
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // those before are not the answer yet
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += n
	return n, err
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
