package peer

import (
	"sync/atomic"
	"time"
)

// A pulse is the sign of life that the traffic on a node's connections gives: since when the node owes an answer, and
// whether a connection has broken. It is taken below the Redis protocol: any byte from the node counts, so that a slow
// reply (WAIT) is not mistaken for silence while others arrive.
//
// Times are nanoseconds on the monotonic clock since the pulse was made, plus one; 0 means none.
type pulse struct {
	began    time.Time
	asked    atomic.Int64 // when the first byte was sent since the node was last heard
	dialling atomic.Int64 // when the oldest connection under way was begun, without a word since
	broken   atomic.Int64 // when a connection was first refused or broken since then
}

func newPulse() *pulse { return &pulse{began: time.Now()} }

func (p *pulse) now() int64 { return int64(time.Since(p.began)) + 1 }

// ask records that something was sent.
func (p *pulse) ask() { p.asked.CompareAndSwap(0, p.now()) }

// dial records that a connection is being made. While it is, the node owes an answer. made, called once the connection
// exists, cancels that debt and no other: the kernel accepts connections for a paused process too, and an idle connection
// asks for nothing.
func (p *pulse) dial() (made func()) {
	mark := p.now()
	if !p.dialling.CompareAndSwap(0, mark) {
		return func() {}
	}
	return func() { p.dialling.CompareAndSwap(mark, 0) }
}

// hear records that something came back.
func (p *pulse) hear() {
	p.asked.Store(0)
	p.dialling.Store(0)
	p.broken.Store(0)
}

// lost records that a connection was refused or broken.
func (p *pulse) lost() { p.broken.CompareAndSwap(0, p.now()) }

// silence is how long the node has owed an answer; zero if it owes none.
func (p *pulse) silence() time.Duration {
	since := p.asked.Load()
	if dialling := p.dialling.Load(); since == 0 || dialling != 0 && dialling < since {
		since = dialling
	}
	if since == 0 {
		return 0
	}
	return time.Duration(p.now() - since)
}

// isBroken reports whether a connection has failed and nothing has been heard since.
func (p *pulse) isBroken() bool { return p.broken.Load() != 0 }
