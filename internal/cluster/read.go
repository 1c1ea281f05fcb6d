package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
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
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	return bytesOf(c.read(ctx, key, func() redis.Cmder { return redis.NewStringCmd(ctx, "get", key) }))
}

// Now is the clock of a node that holds the key's slot (TIME).
func (c *Client) Now(ctx context.Context, key string) (time.Time, error) {
	cmd, err := c.read(ctx, key, func() redis.Cmder { return redis.NewTimeCmd(ctx, "time") })
	if err != nil {
		return time.Time{}, err
	}
	return cmd.(*redis.TimeCmd).Result()
}

// GetMany is [Client.Get] for many keys at once. The answers are in the order of the keys.
func (c *Client) GetMany(ctx context.Context, keys []string) []Value {
	return many(keys, func(key string) ([]byte, error) { return c.Get(ctx, key) })
}

// Heads are the first n bytes of many keys' values (GETRANGE), empty where there is no such key.
func (c *Client) Heads(ctx context.Context, keys []string, n int64) []Value {
	return many(keys, func(key string) ([]byte, error) {
		return bytesOf(c.read(ctx, key, func() redis.Cmder { return redis.NewStringCmd(ctx, "getrange", key, 0, n-1) }))
	})
}

// Query runs a script that only reads, and that answers with an array of strings (EVALSHA_RO, since Redis 7.0), where Get
// would read its first key. All keys must lie in one slot.
func (c *Client) Query(ctx context.Context, s *Script, keys []string, args ...any) ([]string, error) {
	for whole := false; ; whole = true {
		cmd, err := c.readBy(ctx, s, keys[0], func() redis.Cmder { return s.command(ctx, whole, "_ro", keys, args) })
		switch {
		case !whole && redis.HasErrorPrefix(err, "NOSCRIPT "):
		case err != nil:
			return nil, err
		default:
			return cmd.(*redis.Cmd).StringSlice()
		}
	}
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
// returns the one that was answered.
func (c *Client) read(ctx context.Context, key string, command func() redis.Cmder) (redis.Cmder, error) {
	return c.readBy(ctx, nil, key, command)
}

// readBy is read for a command that calls a script.
func (c *Client) readBy(ctx context.Context, s *Script, key string, command func() redis.Cmder) (redis.Cmder, error) {
	where := slot(key)
	r := reading{client: c, ctx: ctx, command: command, script: s, outcome: OutcomeOf(ctx), span: startSpan(ctx, "redis read", where)}
	answered, err := r.run(where)
	r.span.end(err)
	return answered, err
}

// A reading is one read on its way.
type reading struct {
	client   *Client
	ctx      context.Context
	command  func() redis.Cmder
	script   *Script // nil for a command that calls none
	outcome  *Outcome
	span     *span
	redirect redirect

	lacking   *attempt  // a replica's first answer that may be for want of a key; nil if there is none
	lackingAt time.Time // when it came
}

// run tries until a node has answered or the context ends.
func (r *reading) run(where int) (redis.Cmder, error) {
	c := r.client
	for round := 0; ; round++ {
		changed := c.watch.changed()
		answered, err := r.once(where)
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
	if !r.outcome.terms.MasterOnly && !r.client.watch.leaving(p, where) {
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

// hedged asks the master, and the stand-in too when the master fails or takes too long.
func (r *reading) hedged(p *placement, where int, standIn *node) (redis.Cmder, error) {
	master := p.master
	first := r.ask(master, false, false)
	if standIn == nil {
		return r.value(first)
	}
	delay := time.NewTimer(r.client.cfg.HedgeDelay)
	defer delay.Stop()
	select {
	case <-first.done:
		if first.err == nil || !transient(first.err) || isRedirect(first.err) {
			return r.value(first)
		}
		r.client.metrics.hedges.WithLabelValues("failed").Inc()
		return r.fromReplica(p, where, r.ask(standIn, true, false))
	case <-r.ctx.Done():
		return r.value(first)
	case <-delay.C:
	}
	// The budget is for a master that answers others: one that answers nobody has no load to be doubled.
	if master.pulse.silence() < r.client.cfg.HedgeDelay && !r.client.hedges.take() {
		r.client.metrics.hedges.WithLabelValues("denied").Inc()
		return r.value(first)
	}
	r.client.metrics.hedges.WithLabelValues("slow").Inc()
	return r.race(p, where, first, r.ask(standIn, true, false))
}

// mayLack reports whether the answer may be for want of a key that was given away: none to GET, nothing to GETRANGE, and
// whatever a script says that looks at many.
func (a *attempt) mayLack() bool {
	if a.err != nil {
		return errors.Is(a.err, redis.Nil)
	}
	switch cmd := a.cmd.(type) {
	case *redis.StringCmd:
		return cmd.Val() == ""
	case *redis.Cmd:
		return true
	}
	return false
}

// race returns the first answer that is one. A replica's for want of a key gives way to its master's, who may have begun
// to move the slot elsewhere: as long as that is well, it will answer.
func (r *reading) race(p *placement, where int, first, second *attempt) (redis.Cmder, error) {
	replica := second.done
	for {
		changed := r.client.watch.changed()
		select {
		case <-second.done:
			if transient(second.err) {
				return r.value(first)
			}
			if !second.mayLack() || p.master.state() != well {
				first.abandon()
				return r.fromReplica(p, where, second)
			}
			replica = nil // until the master answers, or something is wrong with it
		default:
		}
		select {
		case <-first.done:
			if !transient(first.err) {
				second.abandon()
				return r.value(first)
			}
			return r.fromReplica(p, where, second)
		case <-replica:
		case <-changed:
		case <-r.ctx.Done():
			second.abandon()
			return r.value(first)
		}
	}
}

// ask sends the command to a node.
func (r *reading) ask(n *node, asReplica, asking bool) *attempt {
	a := newAttempt(r.ctx, r.command())
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
	if err == nil || !transient(err) {
		r.client.metrics.reads.WithLabelValues("master").Inc()
	}
	return a.cmd, err
}

// fromReplica is value for an answer of the replica. One that may be for want of a key counts only once it is known that
// the slot was not on the move: a replica does not notice that its master gives keys away. Until then the read goes round.
func (r *reading) fromReplica(p *placement, where int, a *attempt) (redis.Cmder, error) {
	err, _ := a.wait()
	if transient(err) {
		return a.cmd, err
	}
	if a.mayLack() {
		if r.lacking == nil {
			r.lacking, r.lackingAt = a, time.Now()
		}
		if !r.client.watch.absent(p, where, r.lackingAt) {
			r.client.watch.urge(r.lackingAt)
			return nil, errMaybeMoving
		}
		a = r.lacking
	}
	r.outcome.ReadReplica()
	r.client.metrics.reads.WithLabelValues("replica").Inc()
	return a.cmd, a.err
}
