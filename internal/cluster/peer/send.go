package peer

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Read queues a read-only command for the node as a master.
func (p *Peer) Read(a *Attempt) { p.reads.submit(a) }

// ReadAsReplica queues a read-only command for the node as a replica (READONLY).
func (p *Peer) ReadAsReplica(a *Attempt) { p.replicaReads.submit(a) }

// Write queues a write that waits for no replica.
func (p *Peer) Write(a *Attempt) { p.writes.submit(a) }

// Commit queues a write that waits for a replica. [Hooks.Commit] sends it.
func (p *Peer) Commit(a *Attempt) { p.commits.submit(a) }

// sendReads sends reads in one pipeline. A replica answers only between READONLY and READWRITE. A connection left in
// READONLY would go on answering for slots that have moved elsewhere.
func (p *Peer) sendReads(attempts []*Attempt, asReplica bool) {
	p.metrics.Batch("read", len(attempts))
	p.pipeline(attempts, func(ctx context.Context, pipe redis.Pipeliner) {
		if asReplica {
			pipe.Do(ctx, "readonly")
		}
		Queue(ctx, pipe, attempts)
		if asReplica {
			pipe.Do(ctx, "readwrite")
		}
	})
}

func (p *Peer) sendWrites(attempts []*Attempt) {
	p.metrics.Batch("async", len(attempts))
	p.pipeline(attempts, func(ctx context.Context, pipe redis.Pipeliner) { Queue(ctx, pipe, attempts) })
}

// pipeline sends the commands that fill adds, and finishes each attempt with its outcome.
func (p *Peer) pipeline(attempts []*Attempt, fill func(context.Context, redis.Pipeliner)) {
	ctx, cancel := context.WithTimeout(context.Background(), p.access.Attempt)
	defer cancel()
	rdb, err := p.Traffic()
	if err == nil {
		pipe := rdb.Pipeline()
		fill(ctx, pipe)
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for _, a := range attempts {
		if err != nil {
			a.Finish(err)
		} else {
			a.Finish(a.Cmd.Err())
		}
	}
	p.Notice(attempts)
}

// Queue adds the attempts' commands to a pipeline, each after ASKING if it needs that.
func Queue(ctx context.Context, pipe redis.Pipeliner, attempts []*Attempt) {
	for _, a := range attempts {
		if a.Asking {
			pipe.Do(ctx, "asking")
		}
		_ = pipe.Process(ctx, a.Cmd)
	}
}

// Notice calls [Hooks.Trouble] if an attempt has failed in a way that may precede a change of the cluster.
func (p *Peer) Notice(attempts []*Attempt) {
	if p.hooks.Trouble != nil && slices.ContainsFunc(attempts, func(a *Attempt) bool { return Transient(a.Err) }) {
		p.hooks.Trouble()
	}
}
