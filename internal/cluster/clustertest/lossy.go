package clustertest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// Lossy is a network that loses answers: armed, it lets the next request that holds Match reach the node, waits for the
// answer, and breaks the connection instead of delivering it. To the client, that is a write with an unknown outcome.
type Lossy struct {
	Match  []byte                                                            // part of the request to pick; empty for any
	Base   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: the net package's dialler
	OnLoss func()                                                            // called with each answer that is lost; may be nil
	lose   atomic.Int32
	before atomic.Pointer[func()]
}

// BeforeNext has f called once, before the next request that holds Match is sent: what f does comes in between a read
// and the write that depends on it.
func (l *Lossy) BeforeNext(f func()) { l.before.Store(&f) }

// LoseNext makes the network lose the next n answers.
func (l *Lossy) LoseNext(n int) { l.lose.Store(int32(n)) }

// Lost reports whether all answers that were to be lost have been lost.
func (l *Lossy) Lost() bool { return l.lose.Load() == 0 }

// Dial is the dial function for cluster.Config.
func (l *Lossy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := l.Base
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, net: l}, nil
}

type lossyConn struct {
	net.Conn
	net    *Lossy
	picked atomic.Bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, c.net.Match) {
		if f := c.net.before.Swap(nil); f != nil {
			(*f)()
		}
	}
	if c.net.lose.Load() > 0 && bytes.Contains(b, c.net.Match) {
		c.picked.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.picked.Load() && c.net.lose.Add(-1) >= 0 {
		if c.net.OnLoss != nil {
			c.net.OnLoss()
		}
		c.Conn.Close()
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by test")}
	}
	return n, err
}
