package cluster

import "sync"

// Durability says how many copies of a write there must be before it is acknowledged.
type Durability string

const (
	// Async: the master has it. It is lost if the master dies before its replica has it too.
	Async Durability = "async"
	// Replicated: a replica has it too (WAIT 1), or the shard has lost its replica and it is proven that its master still
	// rules; then Single is what was achieved.
	Replicated Durability = "replicated"
	// Strict: a replica has it too, or the write fails.
	Strict Durability = "strict"
	// Single is achieved, never asked for: one copy, because there is no replica.
	Single Durability = "single"
)

// weaker orders what is achieved.
var weaker = map[Durability]int{Replicated: 0, Single: 1, Async: 2}

// Terms are what one request asks of its reads and writes, and where it learns what it got. The fields are set before
// the first call and stay as they are. Nil asks for the client's defaults and learns nothing. The methods may be called
// concurrently.
type Terms struct {
	Durability Durability // of its writes: Async, Replicated or Strict; empty for the client's default
	MasterOnly bool       // its reads never go to a replica

	mu       sync.Mutex
	achieved Durability // guarded by mu
	replica  bool       // guarded by mu
}

// Achieved is the weakest durability of the request's writes: Replicated, Single or Async; empty if it wrote nothing.
func (t *Terms) Achieved() Durability {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.achieved
}

// FromReplica reports whether a replica answered one of the request's reads.
func (t *Terms) FromReplica() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.replica
}

// Wrote notes what a write achieved.
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

// ReadReplica notes that a replica answered a read.
func (t *Terms) ReadReplica() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replica = true
}

// durability is what the request asks of its writes; empty if it leaves that to others.
func (t *Terms) durability() Durability {
	if t == nil {
		return ""
	}
	return t.Durability
}

func (t *Terms) masterOnly() bool { return t != nil && t.MasterOnly }
