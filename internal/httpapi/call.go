package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/sessiond/sessiond/internal/keys"
)

// A call is one request in progress: what the middlewares have learnt about it, for those behind them and for its line in the log.
// It is in the context once, so that a request is copied once and not by each of them.
type call struct {
	recorder // of the answer

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
