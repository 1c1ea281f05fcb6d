package peer

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// A watchedConn reports to the node's pulse what is sent and what comes back. Its read deadline limits silence: each part
// of the replies to a pipeline extends it for the next.
type watchedConn struct {
	net.Conn
	breaker *breaker
	limited atomic.Bool // a read deadline is set
}

func (c *watchedConn) Write(b []byte) (int, error) {
	c.breaker.pulse.ask()
	n, err := c.Conn.Write(b)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.breaker.pulse.lost()
	}
	return n, err
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n > 0:
		c.breaker.pulse.hear()
		if c.limited.Load() {
			_ = c.Conn.SetReadDeadline(time.Now().Add(c.breaker.timeout))
		}
	case err != nil && !errors.Is(err, net.ErrClosed) && !isTimeout(err):
		c.breaker.pulse.lost()
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
	c.breaker.forget(c.Conn)
	return c.Conn.Close()
}

// A watchedSocket also lets go-redis check whether the node has closed an idle connection. Without the check, a write could
// be sent on a dead connection, and its outcome would be unknown.
type watchedSocket struct {
	*watchedConn
	raw syscall.Conn
}

func (s *watchedSocket) SyscallConn() (syscall.RawConn, error) { return s.raw.SyscallConn() }

// A stillborn connection fails every call with the error of its dial.
type stillborn struct {
	net.Conn // nil: no other method is called
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
