// Package peer is one Redis process as this service knows it, by its address: its connections with their circuit breaker,
// its failure detector, and the queues of commands to it. It knows nothing of clusters: whether the process is a master,
// and of what, is for the floors above.
package peer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// A Peer is one Redis process. It outlives the views that name it. Its methods may be called concurrently.
type Peer struct {
	Addr string // host:port

	pulse     *pulse
	breaker   *breaker      // of the connections for traffic
	questions *redis.Client // the watcher's; they have no breaker, or nobody would notice that the node is back
	traffic   atomic.Pointer[redis.Client]
	metrics   *Metrics
	name      func() string // for labels
	hooks     Hooks
	access    Access

	entering sync.Mutex   // held while the state and the breaker are set
	state    atomic.Int32 // a State
	loading  atomic.Bool

	reads        queue
	replicaReads queue
	writes       queue // that wait for no replica
	commits      queue // writes that do
}

// Hooks are what the floors above add to a peer.
type Hooks struct {
	// Commit sends writes that wait for a replica, and finishes each of them.
	Commit func(*Peer, []*Attempt)
	// Trouble is called after attempts failed in a way that may mean that the cluster is about to change.
	Trouble func()
	// Name is a node's name for labels; its address if it is nil.
	Name func(addr string) string
}

func newPeer(addr string, a Access, m *Metrics, h Hooks) *Peer {
	pulse := newPulse()
	p := &Peer{
		Addr: addr, pulse: pulse, breaker: newBreaker(a.dial(), a.Attempt, pulse), metrics: m, hooks: h, access: a,
		questions: a.questions(addr, newBreaker(a.dial(), a.Attempt, pulse).connectFor),
		name:      func() string { return addr },
	}
	if h.Name != nil {
		p.name = func() string { return h.Name(addr) }
	}
	p.breaker.dialled = func(err error) { m.dialled(p.name(), err) }
	p.reads.send = func(as []*Attempt) { p.sendReads(as, false) }
	p.replicaReads.send = func(as []*Attempt) { p.sendReads(as, true) }
	p.writes.send = p.sendWrites
	p.commits.send = func(as []*Attempt) { h.Commit(p, as) }
	return p
}

// Dial makes a connection for traffic, through the breaker and under the eyes of the failure detector.
func (p *Peer) Dial(ctx context.Context, network string) (net.Conn, error) {
	return p.breaker.connectFor(ctx, network, p.Addr)
}

// Carry has the peer's traffic go over a client, whose commands it counts from now on. Calls must not overlap.
func (p *Peer) Carry(rdb *redis.Client) {
	if p.traffic.Load() == rdb {
		return
	}
	if p.metrics != nil {
		rdb.AddHook(attemptHook{p.metrics, p.name}) // first: nobody may use the client while it gets a hook
	}
	p.traffic.Store(rdb)
}

// Traffic is what Carry was given. It fails before that.
func (p *Peer) Traffic() (*redis.Client, error) {
	if rdb := p.traffic.Load(); rdb != nil {
		return rdb, nil
	}
	return nil, errNoTraffic
}

// Questions are connections for whoever asks about the node itself. They are few, and the breaker does not close them.
func (p *Peer) Questions() *redis.Client { return p.questions }

// Stats are the lengths of a peer's queues and the state of its pool.
type Stats struct {
	Reads, Writes int              // commands that wait for a lane
	Pool          *redis.PoolStats // of the traffic; nil if there is none yet
}

// Stats returns what they are at the moment.
func (p *Peer) Stats() Stats {
	s := Stats{Reads: p.reads.waiting() + p.replicaReads.waiting(), Writes: p.writes.waiting() + p.commits.waiting()}
	if rdb := p.traffic.Load(); rdb != nil {
		s.Pool = rdb.PoolStats()
	}
	return s
}

func (p *Peer) close() error {
	p.breaker.set(true)
	return p.questions.Close()
}
