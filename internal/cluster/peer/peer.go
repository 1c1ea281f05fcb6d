// Package peer represents one Redis process by its address: its connections with their circuit breaker, its failure
// detector, and the queues of commands for it. It knows nothing of clusters: the packages above know whether the process is
// a master, and of which slots.
package peer

import (
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Peer is one Redis process. It outlives any view that lists it. Its methods may be called concurrently.
type Peer struct {
	Addr string // host:port

	line      atomic.Pointer[view.Node] // what the cluster says of the node; nil for a seed
	pulse     *pulse
	breaker   *breaker      // of the connections for traffic
	questions *redis.Client // for the watcher; without a breaker, or nobody would notice that the node is back
	traffic   atomic.Pointer[redis.Client]
	metrics   *Metrics
	name      func() string // for labels
	hooks     Hooks
	access    Access

	entering sync.Mutex   // held while the state and the breaker are set
	state    atomic.Int32 // a State
	loading  atomic.Bool
	mistaken atomic.Bool
	refused  atomic.Int64 // since when the node lets no question in, on the pulse's clock; 0 if it does

	reads        queue
	replicaReads queue
	writes       queue // writes that wait for no replica
	commits      queue // writes that wait for a replica
}

// Hooks are what the packages above add to a peer. Each may be nil unless it says otherwise.
type Hooks struct {
	// Commit sends writes that wait for a replica, and finishes each of them. It must be set if Peer.Commit is called.
	Commit func(*Peer, []*Attempt)
	// Trouble is called when attempts have failed in a way that may precede a change of the cluster.
	Trouble func()
	// Name returns the name of the node at an address, for labels. If it is nil, the label is the address.
	Name func(addr string) string
	// MayBe reports whether a node with this ID may answer at an address. Every new connection for traffic is checked by
	// it, because addresses are reused, also by nodes of other clusters. If it is nil, every node may.
	MayBe func(addr, id string) bool
}

func newPeer(addr string, a Access, m *Metrics, h Hooks) *Peer {
	p := &Peer{Addr: addr, pulse: newPulse(), metrics: m, hooks: h, access: a, name: func() string { return addr }}
	p.breaker = newBreaker(p.dial, a.Attempt, p.pulse)
	p.questions = a.questions(addr, newBreaker(p.dial, a.Attempt, p.pulse).connectFor)
	if h.Name != nil {
		p.name = func() string { return h.Name(addr) }
	}
	p.breaker.dialled = func(err error) { m.dialled(p.name(), err) }
	p.reads.send = p.sendReads
	p.replicaReads.send = p.sendReplicaReads
	p.writes.send = p.sendWrites
	p.commits.send = func(as []*Attempt) { h.Commit(p, as) }
	return p
}

// Carry sets the client that carries the peer's traffic. [Set.NewClient] has made it.
func (p *Peer) Carry(rdb *redis.Client) { p.traffic.Store(rdb) }

// Traffic returns the client that Carry has set. It fails if there is none yet.
func (p *Peer) Traffic() (*redis.Client, error) {
	if rdb := p.traffic.Load(); rdb != nil {
		return rdb, nil
	}
	return nil, errNoTraffic
}

// Questions returns a client for questions about the node itself. It has few connections, and the circuit breaker does not
// close them.
func (p *Peer) Questions() *redis.Client { return p.questions }

// Stats are the lengths of a peer's queues and the state of its pool.
type Stats struct {
	Reads, Writes int              // commands that wait for a lane
	Pool          *redis.PoolStats // of the connections for traffic; nil if there are none yet
}

// Stats returns the current lengths of the queues and the state of the pool.
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
