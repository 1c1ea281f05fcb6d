package cluster

import (
	"context"
	"sync"
)

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

// Terms are what one request asks of the cluster. The zero value asks for the client's defaults.
type Terms struct {
	Durability Durability // of its writes: Async, Replicated or Strict
	MasterOnly bool       // its reads never go to a replica
}

// An Outcome is what a request with terms got. Its methods may be called concurrently.
type Outcome struct {
	terms Terms

	mu         sync.Mutex
	durability Durability // guarded by mu
	replica    bool       // guarded by mu
}

type outcomeKey struct{}

// WithTerms puts a request's terms in the context of the calls it makes, and returns where their outcome is gathered.
func WithTerms(ctx context.Context, t Terms) (context.Context, *Outcome) {
	o := &Outcome{terms: t}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// OutcomeOf is where the outcome of the context's request is gathered; without terms, a place that nobody looks at.
func OutcomeOf(ctx context.Context) *Outcome {
	if o, ok := ctx.Value(outcomeKey{}).(*Outcome); ok {
		return o
	}
	return new(Outcome)
}

// Durability is the weakest that the request's writes achieved: Replicated, Single or Async; empty if it wrote nothing.
func (o *Outcome) Durability() Durability {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.durability
}

// Replica reports whether an answer came from a replica.
func (o *Outcome) Replica() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.replica
}

// Terms are what the request asked for.
func (o *Outcome) Terms() Terms { return o.terms }

// Wrote notes what a write achieved.
func (o *Outcome) Wrote(d Durability) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.durability == "" || weaker[d] > weaker[o.durability] {
		o.durability = d
	}
}

// ReadReplica notes that a replica answered.
func (o *Outcome) ReadReplica() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replica = true
}
