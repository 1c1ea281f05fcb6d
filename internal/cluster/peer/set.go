package peer

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Set holds the peers that a program knows, by address. Its methods may be called concurrently.
type Set struct {
	access  Access
	metrics *Metrics
	hooks   Hooks

	mu    sync.Mutex
	peers map[string]*Peer // by address; guarded by mu
}

// NewSet makes a set of the seeds alone. A nil m counts nothing.
func NewSet(a Access, m *Metrics, h Hooks) *Set {
	if a.Attempt == 0 {
		a.Attempt = time.Second
	}
	return &Set{access: a, metrics: m, hooks: h, peers: map[string]*Peer{}}
}

// Seeds returns the addresses that the set was made with.
func (s *Set) Seeds() []string { return s.access.Addrs }

// At returns the peer at an address. It makes the peer if there is none.
func (s *Set) At(addr string) *Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.peers[addr]
	if !ok {
		p = newPeer(addr, s.access, s.metrics, s.hooks)
		s.peers[addr] = p
	}
	return p
}

// All returns the seeds and every other peer in the set.
func (s *Set) All() []*Peer {
	s.mu.Lock()
	addrs := slices.Clone(s.access.Addrs)
	for addr := range s.peers {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	s.mu.Unlock()
	all := make([]*Peer, len(addrs))
	for i, addr := range addrs {
		all[i] = s.At(addr)
	}
	return all
}

// Meet makes the peers of these nodes, and tells them where their nodes want to be reached.
func (s *Set) Meet(nodes []view.Node) {
	for _, n := range nodes {
		s.At(n.Addr).line.Store(&n)
	}
}

// Keep makes the peers of these nodes. It closes and drops all others except the seeds.
func (s *Set) Keep(nodes []view.Node) {
	s.Meet(nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, p := range s.peers {
		listed := slices.ContainsFunc(nodes, func(n view.Node) bool { return n.Addr == addr })
		if !listed && !slices.Contains(s.access.Addrs, addr) {
			p.close()
			delete(s.peers, addr)
		}
	}
}

// NewClient makes the client for a node's traffic. Its connections go through the node's circuit breaker, its failure
// detector observes them, and they are used only if the right node answers. Its commands are counted. The client may
// outlive the peer, and serve the next one at the address.
func (s *Set) NewClient(addr string, opt *redis.Options) *redis.Client {
	opt.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.At(addr).breaker.connectFor(ctx, network, addr)
	}
	if s.hooks.MayBe != nil {
		opt.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return s.identify(ctx, addr, conn) }
	}
	rdb := redis.NewClient(opt)
	if s.metrics != nil {
		rdb.AddHook(attemptHook{s.metrics, s.At(addr).name})
	}
	rdb.AddHook(replyHook{}) // inside the counting one, which reads the errors that it sets
	return rdb
}

// identify fails unless the node that answers may be at the address (CLUSTER MYID). A node that rejects the question may be.
func (s *Set) identify(ctx context.Context, addr string, conn *redis.Conn) error {
	id, err := conn.Do(ctx, "cluster", "myid").Text()
	switch {
	case IsReply(err):
		return nil
	case err != nil:
		return err
	case !s.hooks.MayBe(addr, id):
		return ErrOther
	}
	return nil
}

// Has reports whether the peer is still in the set.
func (s *Set) Has(p *Peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[p.Addr] == p
}

// Close closes all connections: those for questions, and those for traffic by opening the breakers.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.peers {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}
