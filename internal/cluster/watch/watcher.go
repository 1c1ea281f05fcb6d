// Package watch knows the current state of a Redis Cluster: its topology, which nodes are suspect or down, which replica
// may answer for its master, and whether a master without its replica is still the master. It probes every node at its
// own pace, so that a dead node delays nobody, and asks replicas to take over if it is configured to. It is the only
// source for routing, metrics, readiness and the page. It does not know that requests exist.
package watch

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

const (
	probeTimeout = 250 * time.Millisecond // of one probe of one node
	standstill   = 200 * time.Millisecond // between two beats; after a longer gap, this process itself has stood still
	stallShows   = 100 * time.Millisecond // before a stall of writes becomes an event
	recent       = 2 * time.Second        // an older answer says nothing about the present
)

// Config is what a watcher needs. Peers must be set.
type Config struct {
	Peers    *peer.Set
	Metrics  *Metrics        // nil counts nothing
	Assist   time.Duration   // the silence of a master after which its replica is asked to take over; 0 leaves failover to Redis
	Permit   Permit          // asked before a replica is; nil lets the assistant ask
	Examine  time.Duration   // between two examinations of what the nodes permit and how they are set; 0 for none
	Deadline time.Duration   // of a request, for the examination; 0 if unknown
	Routed   func(*Topology) // called with each topology that routes commands differently; calls do not overlap; may be nil
}

// A Watcher knows the state of the cluster. Its methods may be called concurrently.
//
// The locks are taken in this order: adopting, mu, and then one of those that hold no other of these: the council's (which
// may take that of the set of peers), the pace, a shard's memory, the set of peers, a peer's state (which holds its
// breaker's), the timeline, the assistant's. No lock is held while a node is probed or anything is logged.
type Watcher struct {
	cfg       Config
	peers     *peer.Set
	council   *rights.Council               // the masters as those who grant leases and marks
	assist    *assistant                    // nil if assisted failover is off
	events    *Events                       // nil in the test that proves that nothing depends on them
	topology  atomic.Pointer[Topology]      // nil until a node has answered
	refused   atomic.Pointer[refusedAnswer] // the last answer, if it did not let us see the cluster
	coveredAt atomic.Int64                  // when a beat last saw all slots covered, in Unix nanoseconds
	change    atomic.Pointer[chan struct{}] // closed at the next change of a state or of the topology
	pace      pace
	since     time.Time // when it began to watch
	beaten    time.Time // time of the last beat; only beat uses it

	adopting    sync.Mutex // held while a view is adopted and told
	toldCovered int        // slots covered according to the last event; guarded by adopting

	mu         sync.Mutex
	witness    *peer.Peer                // the node whose view was adopted last; guarded by mu
	checkups   map[*peer.Peer]*checkup   // guarded by mu
	epoch      int64                     // the highest current epoch of any node; guarded by mu
	levelSince time.Time                 // since when all nodes have known it; zero if they do not; guarded by mu
	told       map[toldRight]toldOutcome // guarded by mu
	examined   examined                  // guarded by mu
}

type refusedAnswer struct{ err error }

// New makes a watcher. It watches while Run runs.
func New(cfg Config) *Watcher {
	w := &Watcher{
		cfg: cfg, peers: cfg.Peers, events: new(Events), since: time.Now(), toldCovered: view.Slots,
		pace: newPace(), checkups: map[*peer.Peer]*checkup{}, told: map[toldRight]toldOutcome{},
	}
	first := make(chan struct{})
	w.change.Store(&first)
	w.council = rights.New(w.tellRight)
	w.pace.troubleUntil = w.since.Add(listedFor + troubleLasts) // evidence comes soon
	if cfg.Assist > 0 {
		w.assist = newAssistant(w, cfg.Assist)
	}
	return w
}

// Events returns the timeline of what the watcher has seen.
func (w *Watcher) Events() *Events { return w.events }

// Topology returns the newest topology; nil until a node has answered.
func (w *Watcher) Topology() *Topology { return w.topology.Load() }

// Run watches until the context ends. It returns when the probes in flight have ended.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	var questions sync.WaitGroup
	defer questions.Wait()
	for {
		w.beat(ctx, &questions)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.pace.wake:
		}
	}
}

// beat assesses every node and probes those whose turn it is.
func (w *Watcher) beat(ctx context.Context, questions *sync.WaitGroup) {
	now := time.Now()
	stood := !w.beaten.IsZero() && now.Sub(w.beaten) > standstill
	w.beaten = now
	if stood { // the silence was our own: replies that have arrived are yet to be read
		return
	}
	for _, p := range w.watched(now) {
		w.assess(p)
		if w.take(p, now) {
			questions.Go(func() { w.ask(ctx, p) })
		}
	}
	w.checkCoverage(now)
	w.tellStalls(now)
	w.leaseWhereWanted(ctx, now, questions)
	w.accountForEpochs(now)
	w.examineWhenDue(ctx, now, questions)
	if w.council.MustOpen() {
		questions.Go(func() { _ = w.council.Open(ctx) }) // a register that does not answer is opened later
	}
	if w.assist != nil {
		w.assist.consider(ctx, questions)
	}
}

// checkCoverage records and tells whether every slot has a healthy master. It leaves the telling to an adoption in
// progress.
func (w *Watcher) checkCoverage(now time.Time) {
	t := w.Topology()
	if t == nil {
		return
	}
	if t.covered() == view.Slots {
		w.coveredAt.Store(now.UnixNano())
	}
	if w.adopting.TryLock() {
		defer w.adopting.Unlock()
		w.tellCoverage(w.Topology())
	}
}

// watched returns the nodes of the view, and the seeds too while none of those nodes answers.
func (w *Watcher) watched(now time.Time) []*peer.Peer {
	var peers []*peer.Peer
	answering := false
	if t := w.Topology(); t != nil {
		for _, n := range t.View.Nodes {
			if !n.Reachable() {
				continue
			}
			p := w.peers.At(n.Addr)
			peers = append(peers, p)
			answering = answering || w.answeredWithin(p, now, recent)
		}
	}
	if !answering {
		for _, addr := range w.peers.Seeds() {
			if p := w.peers.At(addr); !slices.Contains(peers, p) {
				peers = append(peers, p)
			}
		}
	}
	return peers
}

// ask probes one node and takes in its answer.
func (w *Watcher) ask(ctx context.Context, p *peer.Peer) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a, err := p.Probe(ctx)
	w.Take(p, a, err)
}

// Take takes in the outcome of a probe, and adopts a new view if there is one.
func (w *Watcher) Take(p *peer.Peer, a peer.Answer, err error) {
	if err == nil {
		err = w.identify(p, a.View)
	}
	w.hear(p, a, err)
	w.tellFailure(p, err)
	w.assess(p)
	if err == nil && !w.isStranger(p, a.View) {
		w.adopt()
	}
}

// hear records the outcome of a probe.
func (w *Watcher) hear(p *peer.Peer, a peer.Answer, err error) {
	w.mu.Lock()
	w.record(p, a, err)
	w.mu.Unlock()
	switch {
	case err == nil:
		w.refused.Store(nil)
	case peer.IsRefusal(err) || peer.IsDenied(err): // without a view there is nothing that this instance can do
		w.refused.Store(&refusedAnswer{peer.Translate(err)})
		w.broadcast()
	}
}

// assess updates a node's state from its pulse and its answers.
func (w *Watcher) assess(p *peer.Peer) {
	s, changed := p.Assess()
	if !changed {
		return
	}
	if s == peer.Down {
		w.judgeSilence(p)
	}
	w.tellState(p, s)
	if s == peer.Well {
		w.examineSoon() // it may be another process
	}
	w.pace.hastenUntilSettled()
	w.broadcast()
}

// broadcast wakes everyone who waits for a change.
func (w *Watcher) broadcast() {
	next := make(chan struct{})
	close(*w.change.Swap(&next))
}

// Changed returns a channel that is closed at the next change of a node's state or of the topology.
func (w *Watcher) Changed() <-chan struct{} { return *w.change.Load() }

// Refusal returns the error with which nodes refuse our credentials, or do not let our user see the cluster; nil if a node
// answers, or if none has refused.
func (w *Watcher) Refusal() error {
	if r := w.refused.Load(); r != nil && !w.anyAnswering() {
		return r.err
	}
	return nil
}

func (w *Watcher) anyAnswering() bool {
	now := time.Now()
	for _, p := range w.watched(now) {
		if p.State() == peer.Well && w.answeredWithin(p, now, recent) {
			return true
		}
	}
	return false
}
