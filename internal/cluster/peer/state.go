package peer

import "time"

// The thresholds of the failure detector. A false suspicion costs little: reads go to the replica, and writes wait until
// the node answers.
const (
	SuspectAfter = 100 * time.Millisecond // of silence
	DownAfter    = 300 * time.Millisecond // of silence towards traffic and the watcher
)

// A State is the failure detector's verdict on a node.
type State int32

const (
	Well    State = iota
	Suspect       // has owed an answer for SuspectAfter, has refused or broken a connection, or is loading its data
	Down          // has owed an answer for DownAfter
)

func (s State) String() string { return [...]string{"well", "suspect", "down"}[s] }

// State returns the node's state as of the last assessment.
func (p *Peer) State() State { return State(p.state.Load()) }

// Silence is how long the node has owed an answer; zero if it owes none.
func (p *Peer) Silence() time.Duration { return p.pulse.silence() }

// Loading reports whether the node was still loading its data when it last answered a probe.
func (p *Peer) Loading() bool { return p.loading.Load() }

// refuses records whether the node rejects connections for questions.
func (p *Peer) refuses(does bool) {
	if !does {
		p.refused.Store(0)
		return
	}
	p.refused.CompareAndSwap(0, p.pulse.now())
}

// refusedFor is how long the node has rejected connections for questions; zero if it accepts them.
func (p *Peer) refusedFor() time.Duration {
	since := p.refused.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(p.pulse.now() - since)
}

// Mistake records whether a node with another ID answers at the address, and reports whether that is news. Such a peer is
// down until the right node answers: nothing is read from it or written to it.
func (p *Peer) Mistake(is bool) (news bool) { return p.mistaken.Swap(is) != is }

// Assess sets the state that follows from the node's pulse and answers. The breaker opens when the node is down, and closes
// when it answers again. changed reports whether the node was in another state before.
func (p *Peer) Assess() (s State, changed bool) {
	p.entering.Lock()
	defer p.entering.Unlock()
	silence, shut := p.pulse.silence(), p.refusedFor()
	switch {
	case silence >= DownAfter || shut >= DownAfter || p.mistaken.Load():
		s = Down
	case silence >= SuspectAfter || shut > 0 || p.pulse.isBroken() || p.Loading():
		s = Suspect
	}
	if s == Suspect && p.State() == Down && silence > 0 {
		s = Down // until it answers: a broken connection is no answer
	}
	if State(p.state.Swap(int32(s))) == s {
		return s, false
	}
	p.breaker.set(s == Down)
	return s, true
}

// Staged is what [Peer.Stage] makes a failure detector report.
type Staged struct {
	State   State
	Silence time.Duration
	Loading bool
}

// Stage sets what the failure detector reports, for the tests of the packages above.
func (p *Peer) Stage(s Staged) {
	p.state.Store(int32(s.State))
	p.loading.Store(s.Loading)
	p.pulse.hear()
	if s.Silence > 0 {
		p.pulse.asked.Store(p.pulse.now() - int64(s.Silence))
	}
}
