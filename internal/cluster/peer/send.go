package peer

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Read queues a read-only command for the node as a master.
func (p *Peer) Read(a *Attempt) { p.reads.submit(a) }

// ReadAsReplica queues a read-only command for the node as a replica (READONLY).
func (p *Peer) ReadAsReplica(a *Attempt) { p.replicaReads.submit(a) }

// Write queues a write that waits for no replica.
func (p *Peer) Write(a *Attempt) { p.writes.submit(a) }

// Commit queues a write that waits for a replica. [Hooks.Commit] sends it.
func (p *Peer) Commit(a *Attempt) { p.commits.submit(a) }

// sendReads sends reads to a master, in one pipeline.
func (p *Peer) sendReads(attempts []*Attempt) {
	p.metrics.Batch("read", len(attempts))
	p.pipeline(attempts, func(ctx context.Context, pipe redis.Pipeliner) { Queue(ctx, pipe, attempts) }, replied)
}

// sendReplicaReads sends reads to a replica, in one pipeline. A replica answers only between READONLY and READWRITE. A
// connection left in READONLY would go on answering for slots that have moved elsewhere. INFO comes before the reads and on
// their connection, so that it speaks for the process that answers them, and for what that has then or earlier. (ROLE would
// be shorter, but has no offset while the replica has no link to its master.)
func (p *Peer) sendReplicaReads(attempts []*Attempt) {
	p.metrics.Batch("read", len(attempts))
	var info *redis.StringCmd
	p.pipeline(attempts, func(ctx context.Context, pipe redis.Pipeliner) {
		pipe.Do(ctx, "readonly")
		info = pipe.Info(ctx, "server", "replication")
		Queue(ctx, pipe, attempts)
		pipe.Do(ctx, "readwrite")
	}, func(a *Attempt) error {
		answered := a.Cmd.Err() == nil || errors.Is(a.Cmd.Err(), redis.Nil)
		if answered && a.Process != "" && !reaches(info, a) {
			return ErrBehind
		}
		return a.Cmd.Err()
	})
}

// reaches reports whether a node is what an attempt asks for: a replica, that process, in that stream, at the offset or beyond.
func reaches(info *redis.StringCmd, a *Attempt) bool {
	fields := view.ParseInfo(info.Val()) // empty if it has not answered
	said := view.ParseReplication(fields)
	return fields["role"] == "slave" && fields["run_id"] == a.Process && said.Stream == a.Stream && said.Offset >= a.Floor
}

func (p *Peer) sendWrites(attempts []*Attempt) {
	p.metrics.Batch("async", len(attempts))
	p.pipeline(attempts, func(ctx context.Context, pipe redis.Pipeliner) { Queue(ctx, pipe, attempts) }, replied)
}

// pipeline sends the commands that fill adds, and finishes each attempt with its outcome.
func (p *Peer) pipeline(attempts []*Attempt, fill func(context.Context, redis.Pipeliner), outcome func(*Attempt) error) {
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
			a.Finish(outcome(a))
		}
	}
	p.Notice(attempts)
}

// replied is the outcome of a command that needs no more than a reply.
func replied(a *Attempt) error { return a.Cmd.Err() }

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
