// Package watch knows what is true of a Redis Cluster now: its topology, which node is ill, which replica may answer for
// its master, whether a master without its replica still rules. It asks every node, each at its own pace, so that a dead
// one delays nobody, and asks replicas to take over where it is told to. It is the one source for routing, metrics,
// readiness and the page, and does not know that requests exist.
package watch

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

const (
	probeTimeout = 250 * time.Millisecond // of one question to one node
	standstill   = 200 * time.Millisecond // between two beats: this process did not run
	stallShows   = 100 * time.Millisecond // before a stall of writes is an event
	recent       = 2 * time.Second        // an answer that is older says nothing of now
)

// Config is what a watcher needs. Peers must be set.
type Config struct {
	Peers   *peer.Set
	Metrics *Metrics      // nil counts nothing
	Assist  time.Duration // a master's silence after which its replica is asked to take over; 0 leaves that to Redis
	Routed  func(*Topology)
}

// A Watcher knows the cluster's state. Its methods may be called concurrently.
//
// The order of the locks, outermost first: adopting, mu, and then those that hold no other: a shard's memory, the set of
// peers, a peer's state, the timeline, the assistant. No lock is held while a node is asked, or while anything is logged.
type Watcher struct {
	cfg       Config
	peers     *peer.Set
	assist    *assistant                    // nil if it is off
	events    *Events                       // nil in a test that shows that nothing depends on them
	topology  atomic.Pointer[Topology]      // nil until a node has answered
	refused   atomic.Pointer[refusedAnswer] // the last answer, if it was a refusal of our credentials
	coveredAt atomic.Int64                  // when a beat last saw all slots covered, in Unix nanoseconds
	pace      pace
	since     time.Time // when it began to watch
	beaten    time.Time // when the last beat was; only beat uses it

	adopting    sync.Mutex // held while a view is adopted, and told
	toldCovered int        // slots that were covered by the last event; guarded by adopting

	mu       sync.Mutex
	witness  *peer.Peer              // whose view was adopted last; guarded by mu
	checkups map[*peer.Peer]*checkup // guarded by mu
	change   chan struct{}           // closed at the next change of a state or of the topology; guarded by mu
}

type refusedAnswer struct{ err error }

// New makes a watcher, which watches while Run runs.
func New(cfg Config) *Watcher {
	w := &Watcher{
		cfg: cfg, peers: cfg.Peers, events: new(Events), since: time.Now(), toldCovered: view.Slots,
		pace: newPace(), checkups: map[*peer.Peer]*checkup{}, change: make(chan struct{}),
	}
	if cfg.Assist > 0 {
		w.assist = newAssistant(w, cfg.Assist)
	}
	return w
}

// Events is the timeline of what the watcher saw.
func (w *Watcher) Events() *Events { return w.events }

// Topology is where everything is; nil until a node has answered.
func (w *Watcher) Topology() *Topology { return w.topology.Load() }

// Run watches until the context ends and the questions under way are answered.
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

// beat feels every pulse and asks those whose turn it is.
func (w *Watcher) beat(ctx context.Context, questions *sync.WaitGroup) {
	now := time.Now()
	stood := !w.beaten.IsZero() && now.Sub(w.beaten) > standstill
	w.beaten = now
	if stood { // it was we who were silent: what has come since is yet to be read
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
	if w.assist != nil {
		w.assist.consider(ctx, questions)
	}
}

// checkCoverage notes whether all slots have a master that is well. While a view is being adopted, that tells of them.
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

// watched are the nodes of the view; and the seeds, while none of those answers.
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

// ask asks one node and takes its answer in.
func (w *Watcher) ask(ctx context.Context, p *peer.Peer) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a, err := p.Probe(ctx)
	w.Take(p, a, err)
}

// Take takes in what came of a question to a node, and draws from it what follows.
func (w *Watcher) Take(p *peer.Peer, a peer.Answer, err error) {
	w.hear(p, a, err)
	w.assess(p)
	if err == nil {
		w.adopt()
	}
}

// hear remembers what came of a question.
func (w *Watcher) hear(p *peer.Peer, a peer.Answer, err error) {
	w.mu.Lock()
	w.record(p, a, err)
	w.mu.Unlock()
	switch {
	case err == nil:
		w.refused.Store(nil)
	case peer.IsRefusal(err):
		w.refused.Store(&refusedAnswer{peer.Translate(err)})
		w.broadcast()
	}
}

// assess has a node's state follow its pulse and its answers.
func (w *Watcher) assess(p *peer.Peer) {
	s, changed := p.Assess()
	if !changed {
		return
	}
	if s == peer.Down {
		w.judgeSilence(p)
	}
	w.tellState(p, s)
	w.pace.hastenUntilSettled()
	w.broadcast()
}

// broadcast wakes who waits for a change.
func (w *Watcher) broadcast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.change)
	w.change = make(chan struct{})
}

// Changed is closed at the next change of a node's state or of the topology.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.change
}

// Refusal is why no node lets us in; nil if one does, or none has answered.
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
