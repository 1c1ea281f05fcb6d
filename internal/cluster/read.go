package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// A Value is the answer for one of many keys.
type Value struct {
	Bytes []byte
	Err   error // see [Client.Get]
}

// Get reads the value of a key (GET). It fails with ErrNil if there is no such key.
//
// It asks the master. If the master is not well, or does not answer within the hedge delay, it asks the replica, once this
// instance has a lease on it: then the replica has every write that was acknowledged.
func (c *Client) Get(ctx context.Context, t *Terms, key string) ([]byte, error) {
	return bytesOf(c.read(ctx, t, key, nil, func(bool) redis.Cmder { return redis.NewStringCmd(ctx, "get", key) }))
}

// Now returns the clock of a node that holds the key's slot (TIME).
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

// Heads returns the first n bytes of many keys' values (GETRANGE), in the order of the keys. They are empty if there is no
// such key.
func (c *Client) Heads(ctx context.Context, t *Terms, keys []string, n int64) []Value {
	return many(keys, func(key string) ([]byte, error) {
		return bytesOf(c.read(ctx, t, key, nil, func(bool) redis.Cmder { return redis.NewStringCmd(ctx, "getrange", key, 0, n-1) }))
	})
}

// Query runs a read-only script that returns an array of strings (EVALSHA_RO, since Redis 7.0). It asks the node that Get
// would ask for the first key. All keys must lie in one slot.
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

// read sends a read-only command until a node has answered or the context ends, and returns the command that was
// answered. It makes the command anew for each attempt. If the command runs a script s, whole says to send its source.
func (c *Client) read(ctx context.Context, t *Terms, key string, s *Script, command func(whole bool) redis.Cmder) (redis.Cmder, error) {
	slot := view.Slot(key)
	r := reading{
		call:    call{client: c, ctx: ctx, kind: "read", slot: slot, script: s, terms: t, span: startSpan(ctx, "redis read", slot)},
		command: command, began: time.Now(),
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

// A reading is one read in progress.
type reading struct {
	call
	command func(whole bool) redis.Cmder
	lacking lack
	began   time.Time
}

func (r *reading) waited() time.Duration { return time.Since(r.began) }

// once makes one round: it asks the node that should answer now, and perhaps a second one.
func (r *reading) once() (redis.Cmder, error) {
	if to := r.takeRedirect(); to.peer != nil {
		return r.fromMaster(r.ask(to.peer, to.asking))
	}
	s := r.client.watch.Topology().At(r.slot)
	if s == nil {
		return nil, watch.ErrNoMaster
	}
	master := s.Master.State()
	if r.terms.masterOnly() || s.Leaving(r.slot) {
		return r.onlyMaster(s)
	}
	if master == peer.Well {
		return r.hedged(s)
	}
	s.Want()
	if standIn, ok := s.StandIn(); ok {
		r.client.metrics.hedges.WithLabelValues("suspect").Inc()
		return r.fromReplica(s, r.askReplica(standIn))
	}
	if r.terms.allowStale() {
		if cmd, err, ok := r.stale(s); ok {
			return cmd, err
		}
	}
	if master == peer.Suspect { // it may only be slow
		return r.hedged(s)
	}
	if r.waited() > elsewherePatience && s.Elsewhere() {
		return nil, errElsewhere
	}
	return nil, watch.ErrNoMaster
}

// elsewherePatience is how long a read waits for a master that others reach and this instance does not. After that it
// fails, so that its caller can try another instance.
const elsewherePatience = time.Second

// onlyMaster asks nobody but the master.
func (r *reading) onlyMaster(s *watch.Shard) (redis.Cmder, error) {
	if s.Master.State() == peer.Down {
		return nil, watch.ErrNoMaster
	}
	return r.fromMaster(r.ask(s.Master, false))
}

// stale asks a replica whose answer may be old. ok is false if none answers.
func (r *reading) stale(s *watch.Shard) (cmd redis.Cmder, err error, ok bool) {
	p, age, ok := s.Stale()
	if !ok {
		return nil, nil, false
	}
	a := r.askReplica(watch.StandIn{Peer: p})
	if err, _ := a.Wait(); err != nil && !errors.Is(err, redis.Nil) {
		return a.Cmd, err, true
	}
	r.terms.ReadStale(age)
	r.client.metrics.reads.WithLabelValues("stale").Inc()
	return a.Cmd, a.Err, true
}

// ask sends the command to a master.
func (r *reading) ask(p *peer.Peer, asking bool) *peer.Attempt {
	a := r.attempt(r.command(r.whole))
	a.Asking = asking
	r.span.sent(p, "master")
	r.client.hedges.earn()
	p.Read(a)
	return a
}

// askReplica sends the command to a replica. It sends scripts whole, because Redis does not replicate its script cache.
func (r *reading) askReplica(to watch.StandIn) *peer.Attempt {
	a := r.attempt(r.command(true))
	a.Process, a.Stream, a.Floor = to.Shows.Process, to.Shows.Stream, to.Shows.Offset
	r.span.sent(to.Peer, "replica")
	to.ReadAsReplica(a)
	return a
}

// fromMaster waits for a master's answer.
func (r *reading) fromMaster(a *peer.Attempt) (redis.Cmder, error) {
	err, _ := a.Wait()
	if err == nil || errors.Is(err, redis.Nil) {
		r.client.metrics.fromMaster.Inc()
	}
	return a.Cmd, err
}
