package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxBody bounds how much of an answer is read, in bytes.
const maxBody = 4 << 20

// A client sends requests to the targets round robin.
type client struct {
	targets   []*target
	turn      atomic.Uint64
	transport http.RoundTripper
	owned     *http.Transport // nil if the transport is the caller's
	timeout   time.Duration
	redial    bool
	bearer    string
	checking  context.CancelFunc // ends the readiness checks
}

func newClient(cfg Config) (*client, error) {
	targets, err := parseTargets(cfg.Targets)
	if err != nil {
		return nil, err
	}
	c := &client{targets: targets, transport: cfg.Transport, timeout: cfg.Timeout, redial: !cfg.NoRedial}
	if cfg.Token != "" {
		c.bearer = "Bearer " + cfg.Token
	}
	if c.transport == nil {
		c.owned = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext,
			MaxIdleConnsPerHost: cfg.MaxInFlight,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
			TLSClientConfig:     &tls.Config{RootCAs: cfg.RootCAs}, // no HTTP/2: a connection per request in flight, as for HTTP
		}
		c.transport = c.owned
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.checking = cancel
	if cfg.CheckEvery > 0 {
		for _, t := range targets {
			go c.check(ctx, t, cfg.CheckEvery)
		}
	}
	return c, nil
}

func (c *client) close() {
	c.checking()
	if c.owned != nil {
		c.owned.CloseIdleConnections()
	}
}

// A call is one request, to whichever target takes it.
type call struct {
	method, path, query string
	header              http.Header
	body                []byte
}

// A reply is the outcome of a call. If it is unsent, no byte of the request can have left.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	err     error
	unsent  bool
	target  string
	redials int
}

// do sends a call. If a target cannot be connected to, do tries the next, each once. It does not follow redirects.
func (c *client) do(ctx context.Context, call call) reply {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var r reply
	var tried []*target
	turn := c.turn.Add(1)
	for {
		t := c.pick(turn, tried)
		redials := r.redials
		r = c.send(ctx, t, call)
		r.redials = redials
		if !r.unsent {
			return r
		}
		t.shun()
		tried = append(tried, t)
		if !c.redial || ctx.Err() != nil || len(tried) == len(c.targets) {
			return r
		}
		r.redials++
	}
}

// send sends a call to one target. It needs neither redirects nor cookies, so it uses no http.Client.
func (c *client) send(ctx context.Context, t *target, call call) reply {
	u := *t.base
	u.Path += call.path
	u.RawQuery = call.query
	req := (&http.Request{Method: call.method, URL: &u, Host: u.Host, Header: call.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if call.body != nil {
		req.ContentLength = int64(len(call.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(call.body)), nil }
		req.Body, _ = req.GetBody()
	}
	r := reply{target: t.base.Host}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		r.err, r.unsent = err, isDial(err)
		return r
	}
	defer res.Body.Close()
	r.status, r.header = res.StatusCode, res.Header
	body := bytes.NewBuffer(make([]byte, 0, max(res.ContentLength, 0)+bytes.MinRead))
	if _, r.err = body.ReadFrom(io.LimitReader(res.Body, maxBody)); r.err != nil {
		r.status = 0 // the answer is incomplete
	}
	r.body = body.Bytes()
	return r
}

// isDial reports whether the connection was never established.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
