package cluster

import (
	"sync"
	"time"
)

// Durability says how many nodes must have a write before it is acknowledged.
type Durability string

const (
	// Async: the master has it. It is lost if the master dies before its replica has it too.
	Async Durability = "async"
	// Replicated: every replica that could take over has it too (WAIT). If the shard has lost its replica, and a majority of
	// masters has noted that the replica may lack the write, the write is acknowledged as Single.
	Replicated Durability = "replicated"
	// Strict: a replica has it too, or the write fails.
	Strict Durability = "strict"
	// Single is achieved, never asked for: only the master has it, because it has no replica.
	Single Durability = "single"
)

// weaker orders the durabilities that a write can achieve; a greater number is weaker.
var weaker = map[Durability]int{Replicated: 0, Single: 1, Async: 2}

// Terms are what one request asks of its reads and writes, and they record what it got. The fields must not change after
// the first call. Nil asks for the client's defaults and records nothing. The methods may be called concurrently.
type Terms struct {
	Durability Durability // of its writes: Async, Replicated or Strict; empty for the default
	MasterOnly bool       // its reads never go to a replica
	AllowStale bool       // its reads may go to a replica that may lack acknowledged writes, if nobody else answers
	Owner      string     // on whose behalf it comes: while commands of several owners wait for a node, they take turns
	Weight     int        // how many commands of the owner go in one turn; 0 means 1
	Background bool       // nobody waits for its outcome, so that one that is not known is no news
	Waits      func()     // called whenever a call waits because the cluster cannot serve it now; may be nil

	mu       sync.Mutex
	achieved Durability    // guarded by mu
	replica  bool          // guarded by mu
	stale    bool          // guarded by mu
	age      time.Duration // of the oldest evidence; guarded by mu
}

// Achieved returns the weakest durability among the request's writes: Replicated, Single or Async. It is empty if the
// request wrote nothing.
func (t *Terms) Achieved() Durability {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.achieved
}

// FromReplica reports whether a replica has answered any of the request's reads.
func (t *Terms) FromReplica() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.replica
}

// Wrote records the durability that a write achieved.
func (t *Terms) Wrote(d Durability) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.achieved == "" || weaker[d] > weaker[t.achieved] {
		t.achieved = d
	}
}

// ReadReplica records that a replica has answered a read.
func (t *Terms) ReadReplica() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replica = true
}

// ReadStale records that a replica has answered a read that may lack acknowledged writes, and how long ago it had them all
// for sure.
func (t *Terms) ReadStale(age time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replica, t.stale, t.age = true, true, max(t.age, age)
}

// Stale reports whether a replica has answered that may lack acknowledged writes, and how long ago it had them all for
// sure.
func (t *Terms) Stale() (age time.Duration, stale bool) {
	if t == nil {
		return 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.age, t.stale
}

// durability returns what the request asks of its writes; empty if it asks for nothing.
func (t *Terms) durability() Durability {
	if t == nil {
		return ""
	}
	return t.Durability
}

func (t *Terms) owner() string {
	if t == nil {
		return ""
	}
	return t.Owner
}

func (t *Terms) background() bool { return t != nil && t.Background }

func (t *Terms) weight() int {
	if t == nil {
		return 0
	}
	return t.Weight
}

func (t *Terms) wait() {
	if t != nil && t.Waits != nil {
		t.Waits()
	}
}

func (t *Terms) masterOnly() bool { return t != nil && t.MasterOnly }

func (t *Terms) allowStale() bool { return t != nil && t.AllowStale }
