package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Value is one answer of many.
type Value struct {
	Bytes []byte
	Err   error // as from Get
}

// Get is the Redis command GET. It fails with ErrNil if there is no such key.
//
// It asks the master, and the replica when the master is not well or does not answer within the hedge delay: a replica
// that was in step when its master was last seen well holds every write that was acknowledged as replicated.
func (c *Client) Get(ctx context.Context, t *Terms, key string) ([]byte, error) {
	return bytesOf(c.read(ctx, t, key, nil, func(bool) redis.Cmder { return redis.NewStringCmd(ctx, "get", key) }))
}

// Now is the clock of a node that holds the key's slot (TIME).
func (c *Client) Now(ctx context.Context, t *Terms, key string) (time.Time, error) {
	cmd, err := c.read(ctx, t, key, nil, func(bool) redis.Cmder { return redis.NewTimeCmd(ctx, "time") })
	if err != nil {
		return time.Time{}, err
	}
	return cmd.(*redis.TimeCmd).Result()
}

// GetMany is [Client.Get] for many keys at once. The answers are in the order of the keys.
func (c *Client) GetMany(ctx context.Context, t *Terms, keys []string) []Value {
	return many(keys, func(key string) ([]byte, error) { return c.Get(ctx, t, key) })
}

// Heads are the first n bytes of many keys' values (GETRANGE), empty where there is no such key.
func (c *Client) Heads(ctx context.Context, t *Terms, keys []string, n int64) []Value {
	return many(keys, func(key string) ([]byte, error) {
		return bytesOf(c.read(ctx, t, key, nil, func(bool) redis.Cmder { return redis.NewStringCmd(ctx, "getrange", key, 0, n-1) }))
	})
}

// Query runs a script that only reads, and that answers with an array of strings (EVALSHA_RO, since Redis 7.0), where Get
// would read its first key. All keys must lie in one slot.
func (c *Client) Query(ctx context.Context, t *Terms, s *Script, keys []string, args ...any) ([]string, error) {
	cmd, err := c.read(ctx, t, keys[0], s, func(whole bool) redis.Cmder { return s.command(ctx, whole, "_ro", keys, args) })
	if err != nil {
		return nil, err
	}
	return cmd.(*redis.Cmd).StringSlice()
}

func many(keys []string, read func(key string) ([]byte, error)) []Value {
	values := make([]Value, len(keys))
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() { values[i].Bytes, values[i].Err = read(key) })
	}
	wg.Wait()
	return values
}

func bytesOf(cmd redis.Cmder, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return cmd.(*redis.StringCmd).Bytes()
}

// read sends a command that only reads, as made anew for each attempt, until a node has answered or the context ends. It
// returns the one that was answered. A script that the command calls is sent whole where it is told to be.
func (c *Client) read(ctx context.Context, t *Terms, key string, s *Script, command func(whole bool) redis.Cmder) (redis.Cmder, error) {
	slot := view.Slot(key)
	r := reading{
		call:    call{client: c, ctx: ctx, kind: "read", slot: slot, script: s, terms: t, span: startSpan(ctx, "redis read", slot)},
		command: command,
	}
	answered, spoken, err := r.retry(r.once)
	switch {
	case spoken:
		err = peer.Translate(err)
	default:
		err = peer.Unavailable(err)
	}
	r.span.end(err)
	return answered, err
}

// A reading is one read on its way.
type reading struct {
	call
	command func(whole bool) redis.Cmder
	lacking lack
}

// once asks whom it should ask now, and a second node if the first does not answer in time.
func (r *reading) once() (redis.Cmder, error) {
	if to := r.takeRedirect(); to.peer != nil {
		return r.fromMaster(r.ask(to.peer, to.asking))
	}
	s := r.client.watch.Topology().At(r.slot)
	if s == nil {
		return nil, watch.ErrNoMaster
	}
	var standIn *peer.Peer
	if !r.terms.masterOnly() && !s.Leaving(r.slot) {
		standIn = s.StandIn()
	}
	switch {
	case s.Master.State() == peer.Well && standIn != nil:
		return r.hedged(s, standIn)
	case standIn != nil:
		r.client.metrics.hedges.WithLabelValues("suspect").Inc()
		return r.fromReplica(s, r.askReplica(standIn))
	case s.Master.State() != peer.Down: // it is all there is, and may only be slow
		return r.fromMaster(r.ask(s.Master, false))
	}
	return nil, watch.ErrNoMaster
}

// ask sends the command to a master.
func (r *reading) ask(p *peer.Peer, asking bool) *peer.Attempt {
	a := peer.NewAttempt(r.ctx, r.command(r.whole))
	a.Asking = asking
	r.span.sent(p, "master")
	r.client.hedges.earn()
	p.Read(a)
	return a
}

// askReplica sends the command to a replica, which holds no script before it was sent one: Redis does not replicate them.
func (r *reading) askReplica(p *peer.Peer) *peer.Attempt {
	a := peer.NewAttempt(r.ctx, r.command(true))
	r.span.sent(p, "replica")
	p.ReadAsReplica(a)
	return a
}

// fromMaster waits for a master's answer.
func (r *reading) fromMaster(a *peer.Attempt) (redis.Cmder, error) {
	err, _ := a.Wait()
	if !transient(err) {
		r.client.metrics.reads.WithLabelValues("master").Inc()
	}
	return a.Cmd, err
}
