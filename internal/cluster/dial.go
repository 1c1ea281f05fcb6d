package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// dialsPerNode bounds the connections to one node that are being made at a time: a black hole shall not hold hundreds.
const dialsPerNode = 4

// errBreakerOpen is why no connection is made to a node that is down.
var errBreakerOpen = errors.New("the breaker is open: the node is down")

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// baseDial is the network's dialler, with TLS if the config says so.
func baseDial(cfg Config) dialFunc {
	switch {
	case cfg.Dial != nil:
		return cfg.Dial
	case cfg.TLS != nil:
		return (&tls.Dialer{Config: cfg.TLS}).DialContext
	}
	return new(net.Dialer).DialContext
}

// A gate makes and holds the connections to one node. While it is shut, the connections are closed and no new ones are
// made, so that nothing hangs on a node that does not answer.
type gate struct {
	dial    dialFunc
	timeout time.Duration // of one dial
	pulse   *pulse
	dials   chan struct{} // holds a token for each dial under way

	dialled func(error) // told of each dial; may be nil

	mu    sync.Mutex
	shut  bool              // guarded by mu
	conns map[net.Conn]bool // open ones; guarded by mu
}

func newGate(dial dialFunc, timeout time.Duration, p *pulse) *gate {
	return &gate{dial: dial, timeout: timeout, pulse: p, dials: make(chan struct{}, dialsPerNode), conns: map[net.Conn]bool{}}
}

// connectFor is connect for go-redis' pool, which must not learn of failures: after as many as it has connections it would
// dial once a second, long after the node is back. A connection that could not be made fails at its first use instead.
func (g *gate) connectFor(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := g.connect(ctx, network, addr)
	if err != nil {
		return stillborn{err: err}, nil
	}
	return conn, nil
}

// A stillborn connection fails with what its dial failed with.
type stillborn struct {
	net.Conn // nil: nothing else of it is used
	err      error
}

func (s stillborn) Read([]byte) (int, error)         { return 0, s.err }
func (s stillborn) Write([]byte) (int, error)        { return 0, s.err }
func (s stillborn) Close() error                     { return nil }
func (s stillborn) SetDeadline(time.Time) error      { return nil }
func (s stillborn) SetReadDeadline(time.Time) error  { return nil }
func (s stillborn) SetWriteDeadline(time.Time) error { return nil }
func (s stillborn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s stillborn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// connect makes a connection, unless the gate is shut.
func (g *gate) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	refuse := func(err error) (net.Conn, error) {
		if g.dialled != nil {
			g.dialled(err)
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if g.isShut() {
		return refuse(errBreakerOpen)
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	select {
	case g.dials <- struct{}{}:
		defer func() { <-g.dials }()
	case <-ctx.Done():
		return refuse(ctx.Err())
	}
	made := g.pulse.dial()
	conn, err := g.dial(ctx, network, addr)
	if err != nil {
		g.pulse.lost()
		return refuse(err)
	}
	made()
	if g.dialled != nil {
		g.dialled(nil)
	}
	return g.admit(conn)
}

// admit takes a new connection into the books, or closes it if the gate was shut meanwhile.
func (g *gate) admit(conn net.Conn) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		conn.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errBreakerOpen}
	}
	g.conns[conn] = true
	watched := &watchedConn{Conn: conn, gate: g}
	if raw, ok := conn.(syscall.Conn); ok {
		return &watchedSocket{watched, raw}, nil
	}
	return watched, nil
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// set shuts or opens the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for conn := range g.conns {
			conn.Close()
		}
		clear(g.conns)
	}
}

func (g *gate) forget(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// A watchedConn tells the node's pulse what is sent and what comes back. Its read deadline is one of silence: while the
// answers to a pipeline come, there is time for the next.
type watchedConn struct {
	net.Conn
	gate    *gate
	limited atomic.Bool // a read deadline is set
}

func (c *watchedConn) Write(b []byte) (int, error) {
	c.gate.pulse.ask()
	n, err := c.Conn.Write(b)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.gate.pulse.lost()
	}
	return n, err
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.gate.pulse.hear()
		if c.limited.Load() {
			_ = c.Conn.SetReadDeadline(time.Now().Add(c.gate.timeout))
		}
	case err != nil && !errors.Is(err, net.ErrClosed) && !isTimeout(err):
		c.gate.pulse.lost()
	}
	return n, err
}

func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.limited.Store(!t.IsZero())
	return c.Conn.SetReadDeadline(t)
}

func (c *watchedConn) SetDeadline(t time.Time) error {
	c.limited.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

func (c *watchedConn) Close() error {
	c.gate.forget(c.Conn)
	return c.Conn.Close()
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// A watchedSocket also lets go-redis look whether an idle connection was closed by the node, before it sends a write
// whose outcome would then be unknown.
type watchedSocket struct {
	*watchedConn
	raw syscall.Conn
}

func (s *watchedSocket) SyscallConn() (syscall.RawConn, error) { return s.raw.SyscallConn() }
