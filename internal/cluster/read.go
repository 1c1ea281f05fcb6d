package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

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
	where := view.Slot(key)
	r := reading{client: c, ctx: ctx, command: command, script: s, terms: t, span: startSpan(ctx, "redis read", where)}
	answered, err := r.run(where)
	r.span.end(err)
	return answered, err
}

// A reading is one read on its way.
type reading struct {
	client   *Client
	ctx      context.Context
	command  func(whole bool) redis.Cmder
	script   *Script // that the command calls; nil if it calls none
	terms    *Terms
	span     *span
	whole    bool // a master does not hold the script
	redirect redirect

	lacking   *attempt  // a replica's first answer that may be for want of a key; nil if there is none
	lackingOf *node     // whose replica that was
	lackingAt time.Time // when it came
}

// run tries until a node has answered or the context ends.
func (r *reading) run(where int) (redis.Cmder, error) {
	c := r.client
	for round := 0; ; round++ {
		changed := c.watch.changed()
		answered, err := r.once(where)
		if redis.HasErrorPrefix(err, "NOSCRIPT ") {
			r.whole = true
			continue
		}
		if err == nil || !transient(err) {
			return answered, translate(err)
		}
		if r.script.follows(err) && c.watch.redirect(err, &r.redirect) && round < maxRedirects {
			continue
		}
		if refused := c.watch.refusal(); refused != nil {
			return nil, refused
		}
		c.metrics.retries.WithLabelValues("read").Inc()
		r.span.again(round, err)
		if !pause(r.ctx, round, changed) {
			return nil, unavailable(err)
		}
	}
}

// once asks whom it should ask now, and a second node if the first does not answer in time.
func (r *reading) once(where int) (redis.Cmder, error) {
	if to := r.redirect.take(); to.node != nil {
		return r.value(r.ask(to.node, false, to.asking))
	}
	p := r.client.watch.topology.Load().at(where)
	if p == nil {
		return nil, errNoMaster
	}
	var standIn *node
	if !r.terms.masterOnly() && !r.client.watch.leaving(p, where) {
		standIn = r.client.watch.standIn(p)
	}
	switch {
	case p.master.state() == well:
		return r.hedged(p, where, standIn)
	case standIn != nil:
		r.client.metrics.hedges.WithLabelValues("suspect").Inc()
		return r.fromReplica(p, where, r.ask(standIn, true, false))
	case p.master.state() == suspect:
		return r.value(r.ask(p.master, false, false)) // it is all there is, and may only be slow
	}
	return nil, errNoMaster
}

// ask sends the command to a node.
func (r *reading) ask(n *node, asReplica, asking bool) *attempt {
	whole := r.whole || asReplica // which holds no script before it was sent one: Redis does not replicate them
	a := newAttempt(r.ctx, r.command(whole))
	a.asking = asking
	if asReplica {
		r.span.sent(n, "replica")
		n.replicaReads.submit(a)
	} else {
		r.span.sent(n, "master")
		r.client.hedges.earn()
		n.reads.submit(a)
	}
	return a
}

func (r *reading) value(a *attempt) (redis.Cmder, error) {
	err, _ := a.wait()
	if !transient(err) {
		r.client.metrics.reads.WithLabelValues("master").Inc()
	}
	return a.cmd, err
}
