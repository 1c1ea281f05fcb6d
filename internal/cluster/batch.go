package cluster

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A Value is one answer of many.
type Value struct {
	Bytes []byte
	Err   error // as from Get
}

// GetMany is [Client.Get] for many keys, in one round trip to each shard. The answers are in the order of the keys.
func (c *Client) GetMany(ctx context.Context, keys []string) []Value {
	return c.readMany(ctx, len(keys), func(p redis.Pipeliner, i int) *redis.StringCmd { return p.Get(ctx, keys[i]) })
}

// Heads are the first n bytes of many keys' values (GETRANGE), empty where there is no such key.
func (c *Client) Heads(ctx context.Context, keys []string, n int64) []Value {
	return c.readMany(ctx, len(keys), func(p redis.Pipeliner, i int) *redis.StringCmd { return p.GetRange(ctx, keys[i], 0, n-1) })
}

// readMany reads in one pipeline, and what failed in passing once more by itself.
func (c *Client) readMany(ctx context.Context, n int, queue func(redis.Pipeliner, int) *redis.StringCmd) []Value {
	values := make([]Value, n)
	var wg sync.WaitGroup
	for i, cmd := range pipeline(ctx, c.rdb, n, queue) {
		b, err := cmd.Bytes()
		values[i] = Value{b, translate(err)}
		if transient(err) {
			wg.Go(func() {
				err := c.persist(ctx, func(ctx context.Context) (err error) {
					again := pipeline(ctx, c.rdb, 1, func(p redis.Pipeliner, _ int) *redis.StringCmd { return queue(p, i) })
					values[i].Bytes, err = again[0].Bytes()
					return err
				})
				values[i].Err = err
			})
		}
	}
	wg.Wait()
	return values
}

// A Call is one run of a script.
type Call struct {
	Keys []string
	Args []any
}

// A Reply is what [Client.Run] returns.
type Reply struct {
	Reply []string
	Err   error
}

// RunMany is [Client.Run] for many calls of a script, in one round trip to each shard. The answers are in the order of
// the calls.
func (c *Client) RunMany(ctx context.Context, s *Script, calls []Call) []Reply {
	ctx, _ = withAttempts(ctx) // shared by the pipeline and by what is sent again
	replies := make([]Reply, len(calls))
	sha := s.script.Hash()
	var wg sync.WaitGroup
	for i, cmd := range pipeline(ctx, c.rdb, len(calls), func(p redis.Pipeliner, i int) *redis.Cmd {
		return p.EvalSha(ctx, sha, calls[i].Keys, calls[i].Args...)
	}) {
		reply, err := cmd.StringSlice()
		replies[i] = Reply{reply, translate(err)}
		if transient(err) || redis.HasErrorPrefix(err, "NOSCRIPT") {
			wg.Go(func() {
				replies[i].Reply, replies[i].Err = c.Run(ctx, s, calls[i].Keys, calls[i].Args...)
			})
		}
	}
	wg.Wait()
	return replies
}

// pipeline sends n commands at once; each holds its own outcome.
func pipeline[C redis.Cmder](ctx context.Context, rdb *redis.ClusterClient, n int, queue func(redis.Pipeliner, int) C) []C {
	cmds := make([]C, n)
	p := rdb.Pipeline()
	for i := range cmds {
		cmds[i] = queue(p, i)
	}
	_, _ = p.Exec(ctx) // the first error of the commands, each of which has its own
	return cmds
}
