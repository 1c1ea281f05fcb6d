package peer

import "time"

// When silence makes a node ill. A suspicion costs little: reads go to the replica, and writes wait for the next answer.
const (
	SuspectAfter = 100 * time.Millisecond // of silence
	DownAfter    = 300 * time.Millisecond // of silence, the watcher's questions included
)

// A State is what the failure detector makes of a node.
type State int32

const (
	Well    State = iota
	Suspect       // owes an answer for longer than SuspectAfter, broke a connection, or is loading its data
	Down          // owes one for longer than DownAfter, the watcher's own questions included
)

func (s State) String() string { return [...]string{"well", "suspect", "down"}[s] }

// State is the node's, as it was last assessed.
func (p *Peer) State() State { return State(p.state.Load()) }

// Silence is for how long the node has owed an answer: zero if it owes none.
func (p *Peer) Silence() time.Duration { return p.pulse.silence() }

// Loading reports whether the node said, when it was last asked, that it is still reading its data.
func (p *Peer) Loading() bool { return p.loading.Load() }

// Assess moves the node to the state that its pulse and its answers show. The breaker opens when the node is down, and
// closes when it answers again. It reports whether the node was in another state before.
func (p *Peer) Assess() (s State, changed bool) {
	silence := p.pulse.silence()
	switch {
	case silence >= DownAfter:
		s = Down
	case silence >= SuspectAfter || p.pulse.isBroken() || p.Loading():
		s = Suspect
	}
	if s == Suspect && p.State() == Down && silence > 0 {
		s = Down // until it answers: a broken question is not the answer
	}
	return s, p.enter(s)
}

// enter moves the node to a state and reports whether it was in another. Two that enter at once must not mix up state
// and breaker.
func (p *Peer) enter(s State) (changed bool) {
	p.entering.Lock()
	defer p.entering.Unlock()
	if State(p.state.Swap(int32(s))) == s {
		return false
	}
	p.breaker.set(s == Down)
	return true
}

// Staged is what [Peer.Stage] has a failure detector say.
type Staged struct {
	State   State
	Silence time.Duration
	Loading bool
}

// Stage has the failure detector say something, for the tests of the floors above.
func (p *Peer) Stage(s Staged) {
	p.state.Store(int32(s.State))
	p.loading.Store(s.Loading)
	p.pulse.hear()
	if s.Silence > 0 {
		p.pulse.asked.Store(p.pulse.now() - int64(s.Silence))
	}
}
