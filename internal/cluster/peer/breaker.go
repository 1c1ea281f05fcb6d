package peer

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"syscall"
	"time"
)

// dialsPerNode bounds the concurrent dials to one node, so that a node that drops packets does not hold up hundreds.
const dialsPerNode = 4

// A breaker is the circuit breaker of one node: it makes the connections to the node and keeps track of them. When it
// opens, it closes them all, and it makes no new ones while it is open, so that nothing hangs on a node that does not
// answer.
type breaker struct {
	dial    dialFunc
	timeout time.Duration // of one dial
	pulse   *pulse
	dials   chan struct{} // holds a token for each dial in progress

	dialled func(error) // called with the outcome of each dial; may be nil

	mu    sync.Mutex
	open  bool              // guarded by mu
	conns map[net.Conn]bool // open ones; guarded by mu
}

func newBreaker(dial dialFunc, timeout time.Duration, p *pulse) *breaker {
	return &breaker{dial: dial, timeout: timeout, pulse: p, dials: make(chan struct{}, dialsPerNode), conns: map[net.Conn]bool{}}
}

// connectFor is connect for the pool of go-redis, and hides failures from it: after as many failures as it has connections,
// the pool would dial only once a second, even when the node is back. A connection that could not be made fails at its
// first use instead.
func (b *breaker) connectFor(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := b.connect(ctx, network, addr)
	if err != nil {
		return stillborn{err: err}, nil
	}
	return conn, nil
}

// connect makes a connection, unless the breaker is open.
func (b *breaker) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	refuse := func(err error) (net.Conn, error) {
		if b.dialled != nil {
			b.dialled(err)
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if b.isOpen() {
		return refuse(errBreakerOpen)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	select {
	case b.dials <- struct{}{}:
		defer func() { <-b.dials }()
	case <-ctx.Done():
		return refuse(ctx.Err())
	}
	made := b.pulse.dial()
	conn, err := b.dial(ctx, network, addr)
	if err != nil {
		b.pulse.lost()
		return refuse(err)
	}
	made()
	if b.dialled != nil {
		b.dialled(nil)
	}
	return b.admit(conn)
}

// admit registers a new connection, or closes it if the breaker has opened since.
func (b *breaker) admit(conn net.Conn) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		conn.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errBreakerOpen}
	}
	b.conns[conn] = true
	watched := &watchedConn{Conn: conn, breaker: b}
	if raw, ok := conn.(syscall.Conn); ok {
		return &watchedSocket{watched, raw}, nil
	}
	return watched, nil
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// set opens or closes the breaker.
func (b *breaker) set(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = open
	if open {
		for conn := range b.conns {
			cut(conn)
		}
		clear(b.conns)
	}
}

// cut closes a connection to a node that does not answer, without a word: over TLS a farewell could wait for seconds until the node
// takes it, and the watcher with it.
func cut(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	conn.Close()
}

func (b *breaker) forget(conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
}
