package peer

import (
	"sync/atomic"
	"time"
)

// A pulse is what the traffic on a node's connections tells about its life: when a question was sent that nothing has
// come back for since, and when the node last said anything. It is taken below the Redis protocol, so that a reply that
// takes its time (WAIT) behind others that have come is not taken for silence.
//
// Times are nanoseconds on the monotonic clock since the pulse was made, plus one; 0 stands for none.
type pulse struct {
	began  time.Time
	asked  atomic.Int64 // when the oldest question without a word since was sent
	broken atomic.Int64 // when a connection first was refused or broke, without a word since
}

func newPulse() *pulse { return &pulse{began: time.Now()} }

func (p *pulse) now() int64 { return int64(time.Since(p.began)) + 1 }

// ask notes that something was sent.
func (p *pulse) ask() { p.asked.CompareAndSwap(0, p.now()) }

// dial notes that a connection is being made. Once it is there nothing is owed for it, unless something was before: an
// idle connection asks nothing, and a paused process has a kernel that accepts.
func (p *pulse) dial() (made func()) {
	mark := p.now()
	if !p.asked.CompareAndSwap(0, mark) {
		return func() {}
	}
	return func() { p.asked.CompareAndSwap(mark, 0) }
}

// hear notes that something came back.
func (p *pulse) hear() {
	p.asked.Store(0)
	p.broken.Store(0)
}

// lost notes that a connection was refused or broke.
func (p *pulse) lost() { p.broken.CompareAndSwap(0, p.now()) }

// silence is for how long the node has owed an answer: zero if it owes none.
func (p *pulse) silence() time.Duration {
	asked := p.asked.Load()
	if asked == 0 {
		return 0
	}
	return time.Duration(p.now() - asked)
}

// isBroken reports whether a connection failed and nothing was heard since.
func (p *pulse) isBroken() bool { return p.broken.Load() != 0 }
