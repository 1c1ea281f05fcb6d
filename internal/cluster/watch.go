package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// How often the watcher asks, and when it takes a node for ill. A suspicion costs little: reads go to the replica, and
// writes wait for the next answer.
const (
	heartbeat    = 20 * time.Millisecond  // how often pulses are felt
	peaceful     = time.Second            // between two questions to a node while all is well
	alarmed      = 50 * time.Millisecond  // the same while something is wrong
	urged        = 10 * time.Millisecond  // the same while a read waits for what a master says
	alarmLasts   = 15 * time.Second       // at most, after something changed; then it is the new peace
	hurryLasts   = time.Second            // after something failed that may mean a change
	suspectAfter = 100 * time.Millisecond // of silence
	downAfter    = 300 * time.Millisecond // of silence, the watcher's questions included
	standstill   = 200 * time.Millisecond // between two beats: this process did not run
	stallShows   = 100 * time.Millisecond // before a stall of writes is an event
)

// A watcher knows the cluster's state: it asks every node, each at its own pace, so that a dead one delays nobody, and
// feels the pulses of all traffic. It is the one source for routing, metrics, readiness and the page.
type watcher struct {
	client    *Client
	assist    *assistant
	events    Events
	topology  atomic.Pointer[topology]      // nil until a node has answered
	refused   atomic.Pointer[refusedAnswer] // the last answer, if it was a refusal of our credentials
	coveredAt atomic.Int64                  // when a beat last saw all slots covered, in Unix nanoseconds
	kick      chan struct{}                 // asks for a beat before the next heartbeat
	since     time.Time                     // when it began to watch
	beaten    time.Time                     // when the last beat was; only beat uses it
	adopting  sync.Mutex                    // held while a view is adopted, and told

	toldCovered int // slots that were covered by the last event; guarded by adopting

	mu         sync.Mutex
	witness    *node              // whose view was adopted last; guarded by mu
	checkups   map[*node]*checkup // guarded by mu
	change     chan struct{}      // closed at the next change of a state or of the topology; guarded by mu
	hurryUntil time.Time          // guarded by mu
	alarmUntil time.Time          // guarded by mu
	urgedAt    time.Time          // some read needs masters' answers to questions from after; guarded by mu
}

type refusedAnswer struct{ err error }

// A checkup is what the watcher remembers of one node.
type checkup struct {
	probing bool // a question is under way
	asked   time.Time
	loading bool
	last    received  // the newest answer
	earlier received  // the one before
	inStep  bool      // as a replica: it held all that was acknowledged when its master was last seen well
	outFrom time.Time // as a replica: since when it says that it has no link to its master; zero if it has one
}

// A received answer also knows when it came.
type received struct {
	answer
	at time.Time // zero if there is none
}

func newWatcher(c *Client) *watcher {
	return &watcher{client: c, since: time.Now(), toldCovered: view.Slots, kick: make(chan struct{}, 1), checkups: map[*node]*checkup{}, change: make(chan struct{})}
}

// run watches until the context ends and its questions are answered.
func (w *watcher) run(ctx context.Context) {
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
		case <-w.kick:
		}
	}
}

// beat feels every pulse and asks those whose turn it is.
func (w *watcher) beat(ctx context.Context, questions *sync.WaitGroup) {
	now := time.Now()
	stood := !w.beaten.IsZero() && now.Sub(w.beaten) > standstill
	w.beaten = now
	if stood { // it was we who were silent: what has come meanwhile is yet to be read
		return
	}
	for _, n := range w.watched(now) {
		w.assess(n)
		if w.take(n, now) {
			questions.Go(func() { w.ask(ctx, n) })
		}
	}
	w.checkCoverage(now)
	w.reportStalls(now)
	if w.assist != nil {
		w.assist.consider(ctx, questions)
	}
}

// checkCoverage notes whether all slots have a master that is well. While a view is being adopted, that tells of them.
func (w *watcher) checkCoverage(now time.Time) {
	t := w.topology.Load()
	if t == nil {
		return
	}
	if w.covered(t) == view.Slots {
		w.coveredAt.Store(now.UnixNano())
	}
	if w.adopting.TryLock() {
		defer w.adopting.Unlock()
		w.tellCoverage(w.topology.Load())
	}
}

// watched are the nodes of the view; and the seeds, while none of those answers.
func (w *watcher) watched(now time.Time) []*node {
	var nodes []*node
	answering := false
	if t := w.topology.Load(); t != nil {
		for _, n := range t.view.Nodes {
			if n.Health == view.NoAddress || n.Health == view.Handshake {
				continue
			}
			at := w.client.node(n.Addr)
			nodes = append(nodes, at)
			answering = answering || w.answeredWithin(at, now, 2*peaceful)
		}
	}
	if !answering {
		for _, addr := range w.client.cfg.Addrs {
			if n := w.client.node(addr); !slices.Contains(nodes, n) {
				nodes = append(nodes, n)
			}
		}
	}
	return nodes
}

func (w *watcher) answeredWithin(n *node, now time.Time, limit time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Sub(w.checkupOf(n).last.at) < limit
}

// checkupOf is called with mu held.
func (w *watcher) checkupOf(n *node) *checkup {
	u, ok := w.checkups[n]
	if !ok {
		u = new(checkup)
		w.checkups[n] = u
	}
	return u
}

// take reports whether it is time to ask the node, and if so, takes the turn.
func (w *watcher) take(n *node, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topology.Load()
	every := peaceful
	if now.Before(w.hurryUntil) || now.Before(w.alarmUntil) && w.unsettled() || t == nil {
		every = alarmed
		if t != nil && t.awaited(n) {
			every = heartbeat
		}
	}
	u := w.checkupOf(n)
	if u.asked.Before(w.urgedAt) && t != nil && t.listsAsMaster(n) {
		every = min(every, urged)
	}
	if u.probing || now.Sub(u.asked) < every {
		return false
	}
	u.probing, u.asked = true, now
	return true
}

// unsettled reports whether a node is ill about which the cluster has not decided yet.
func (w *watcher) unsettled() bool {
	t := w.topology.Load()
	if t == nil {
		return true
	}
	return slices.ContainsFunc(t.view.Nodes, func(n view.Node) bool {
		return n.Health != view.NoAddress && w.client.node(n.Addr).state() != well && (n.Health != view.Failed || n.Master && n.Slots > 0)
	})
}

// ask asks one node and takes its answer in.
func (w *watcher) ask(ctx context.Context, n *node) {
	a, err := n.probe(ctx)
	w.mu.Lock()
	u := w.checkupOf(n)
	u.probing = false
	u.loading = isLoading(err)
	if u.loading && u.outFrom.IsZero() {
		u.outFrom = time.Now() // whatever it was, it has no link now
	}
	if err == nil && a.asked.After(u.last.asked) { // the assistant asks beside the heartbeat
		if a.runID != u.last.runID {
			u.inStep, u.last = false, received{} // another process: nothing of before holds
		}
		u.earlier, u.last = u.last, received{a, time.Now()}
		w.judge(n, u)
	}
	w.mu.Unlock()
	if err == nil {
		w.refused.Store(nil)
	} else if isRefusal(err) {
		w.refused.Store(&refusedAnswer{translate(err)})
		w.broadcast()
	}
	w.assess(n)
	if err == nil {
		w.adopt()
	}
}

// assess moves a node to the state that its pulse and its answers show.
func (w *watcher) assess(n *node) {
	w.mu.Lock()
	loading := w.checkupOf(n).loading
	w.mu.Unlock()
	silence := n.pulse.silence()
	s := well
	switch {
	case silence >= downAfter:
		s = down
	case silence >= suspectAfter || n.pulse.isBroken() || loading:
		s = suspect
	}
	if s == suspect && n.state() == down && silence > 0 {
		s = down // until it answers: a broken question is not the answer
	}
	if n.enter(s) {
		if s == down {
			w.judgeSilence(n)
		}
		w.tellState(n, s)
		w.alarm()
	}
}

// notice looks at what came of attempts: some failures mean that the cluster is about to change.
func (w *watcher) notice(n *node, attempts []*attempt) {
	for _, a := range attempts {
		if transient(a.err) {
			w.hurry()
			return
		}
	}
}

// hurry has the nodes asked often for a moment, and at once.
func (w *watcher) hurry() {
	w.mu.Lock()
	w.hurryUntil = time.Now().Add(hurryLasts)
	w.mu.Unlock()
	w.beatNow()
}

// urge has each master asked again that has not been asked since a moment.
func (w *watcher) urge(at time.Time) {
	w.mu.Lock()
	if at.After(w.urgedAt) {
		w.urgedAt = at
	}
	w.mu.Unlock()
	w.beatNow()
}

// beatNow asks for a beat before the next heartbeat.
func (w *watcher) beatNow() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// alarm has the nodes asked often until things are settled, and wakes who waits.
func (w *watcher) alarm() {
	w.mu.Lock()
	w.alarmUntil = time.Now().Add(alarmLasts)
	w.mu.Unlock()
	w.broadcast()
}

// compare orders the answers of two nodes by their views. Of equals the one that was believed before wins, or the view
// would go back and forth while gossip settles.
func (w *watcher) compare(n *node, a received, m *node, b received) int {
	return cmp.Or(
		view.Compare(a.view, b.view),
		cmp.Compare(oneIf(n == w.witness), oneIf(m == w.witness)),
		a.asked.Compare(b.asked),
	)
}

// broadcast wakes who waits for a change.
func (w *watcher) broadcast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.change)
	w.change = make(chan struct{})
}

// changed is closed at the next change.
func (w *watcher) changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.change
}

// adopt takes the best view there is, if it shows anything new.
func (w *watcher) adopt() {
	w.adopting.Lock()
	defer w.adopting.Unlock()
	before := w.topology.Load()
	v, ok := w.best(before)
	if !ok || before != nil && before.view.Equal(v) {
		return
	}
	w.client.learn(v)
	t := newTopology(v, before, w.client.node)
	w.topology.Store(t)
	if !t.sameAs(before) {
		w.client.rewire()
	}
	w.forget()
	w.tellChange(before, t)
	w.broadcast()
}

// best is the newest view among the nodes that are well and answered lately. None takes slots back from who won them.
func (w *watcher) best(before *topology) (view.View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var best received
	var witness *node
	now := time.Now()
	for n, u := range w.checkups {
		if u.last.at.IsZero() || now.Sub(u.last.at) > 2*peaceful || n.state() != well || before.regresses(u.last.view) {
			continue
		}
		if witness == nil || w.compare(n, u.last, witness, best) > 0 {
			witness, best = n, u.last
		}
	}
	if witness == nil {
		return view.View{}, false
	}
	w.witness = witness
	return best.view, true
}

// forget drops the checkups of nodes that have left.
func (w *watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.checkups {
		if !w.client.knows(n) {
			delete(w.checkups, n)
		}
	}
}
