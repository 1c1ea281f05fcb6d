package peer

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Read queues a command that only reads, for the node as a master.
func (p *Peer) Read(a *Attempt) { p.reads.submit(a) }

// ReadAsReplica queues a command that only reads, for the node as a replica.
func (p *Peer) ReadAsReplica(a *Attempt) { p.replicaReads.submit(a) }

// Write queues a write that waits for no replica.
func (p *Peer) Write(a *Attempt) { p.writes.submit(a) }

// Commit queues a write that waits for a replica. What sends it is [Hooks.Commit].
func (p *Peer) Commit(a *Attempt) { p.commits.submit(a) }

// sendReads sends reads in one pipeline. A replica answers only between READONLY and READWRITE: were the connection left
// readable, it would go on answering for a shard that has moved.
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

// pipeline sends what fill puts into a pipeline, and finishes the attempts with what came of each.
func (p *Peer) pipeline(attempts []*Attempt, fill func(context.Context, redis.Pipeliner)) {
	ctx, cancel := context.WithTimeout(context.Background(), p.access.Attempt)
	defer cancel()
	rdb, err := p.Traffic()
	if err == nil {
		pipe := rdb.Pipeline()
		fill(ctx, pipe)
		_, _ = pipe.Exec(ctx) // the first error of the commands, each of which has its own
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

// Queue puts the attempts' commands into a pipeline.
func Queue(ctx context.Context, pipe redis.Pipeliner, attempts []*Attempt) {
	for _, a := range attempts {
		if a.Asking {
			pipe.Do(ctx, "asking")
		}
		_ = pipe.Process(ctx, a.Cmd)
	}
}

// Notice looks at what came of attempts, and calls [Hooks.Trouble] if some failed as they do before the cluster changes.
func (p *Peer) Notice(attempts []*Attempt) {
	if p.hooks.Trouble != nil && slices.ContainsFunc(attempts, func(a *Attempt) bool { return Transient(a.Err) }) {
		p.hooks.Trouble()
	}
}
