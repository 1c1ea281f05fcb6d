package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// errOneCopy is why a strict write fails: it was executed, but only its master has it.
var errOneCopy = errors.New("the write has one copy: its shard has no replica at the moment")

// errReplaced is why a write is sent again: its master was replaced before a replica had it.
var errReplaced = errors.New("the master was replaced before a replica had the write")

// errUnproven is why a write is given up: no replica has it, and it is not proven that its master still rules.
var errUnproven = errors.New("no replica has the write, and it is not proven that its master still rules")

// errNoReplica is why a strict write is not even sent.
var errNoReplica = fmt.Errorf("%w: the shard has no replica at the moment, and the write is strict", ErrUnavailable)

// replicaPatience is how long the first WAIT waits for the replica; then it is asked again and again, without waiting at
// the node, whether a replica has the writes by now: a node that waits says nothing, as a dead one does.
const (
	replicaPatience = 50 * time.Millisecond
	askAgain        = 10 * time.Millisecond
)

// commit sends a group of writes and one WAIT on the same connection: WAIT speaks for the writes of its own connection
// alone, up to the last of them. So a script that acknowledges something it finds done already must write too.
func (c *Client) commit(n *node, attempts []*attempt) {
	c.metrics.batch("replicated", len(attempts))
	conn, err := c.sticky(n)
	if err != nil {
		finishAll(attempts, err)
		c.watch.notice(n, attempts)
		return
	}
	defer conn.Close()
	first := waitCmd(1, replicaPatience)
	if c.watch.replicaGone(n) {
		first = waitCmd(0, 0) // nobody to wait for, and to wait would take Redis up to 100 ms
	}
	replicas, err := c.execute(conn, attempts, first)
	c.watch.waited(n, replicas, err)
	var open []*attempt // executed, and waiting for their second copy
	for _, a := range attempts {
		if failed := a.cmd.Err(); failed != nil {
			a.finish(failed)
		} else {
			open = append(open, a)
		}
	}
	for len(open) > 0 && err == nil && replicas == 0 && !c.watch.proven(n) {
		if err = c.mayWait(n, open); err == nil {
			time.Sleep(askAgain)
			replicas, err = confirmed(conn, c.cfg.Attempt)
			c.watch.waited(n, replicas, err)
		}
	}
	if len(open) > 0 && err == nil && replicas == 0 {
		c.watch.oneCopy(n)
	}
	for _, a := range open {
		a.settle(replicas, err)
	}
	c.watch.notice(n, attempts)
}

// sticky is a connection for one group.
func (c *Client) sticky(n *node) (*redis.Conn, error) {
	rdb, err := n.client()
	if err != nil {
		return nil, err
	}
	return rdb.Conn(), nil
}

// execute sends the writes with a first WAIT, and returns how many replicas have them.
func (c *Client) execute(conn *redis.Conn, attempts []*attempt, first *redis.IntCmd) (replicas int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Attempt+replicaPatience)
	defer cancel()
	p := conn.Pipeline()
	queue(ctx, p, attempts)
	_ = p.Process(ctx, first)
	_, _ = p.Exec(ctx)
	return first.Result()
}

// confirmed is how many replicas have the writes of the connection by now.
func confirmed(conn *redis.Conn, limit time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	now := waitCmd(0, 0)
	_ = conn.Process(ctx, now)
	return now.Result()
}

// waitCmd is WAIT; with no replicas to wait for it answers at once, with those that have everything.
func waitCmd(replicas int, patience time.Duration) *redis.IntCmd {
	return redis.NewIntCmd(context.Background(), "wait", replicas, patience.Milliseconds())
}

// mayWait says why to stop waiting for a replica: nobody waits for us any more, or the master was replaced.
func (c *Client) mayWait(n *node, open []*attempt) error {
	c.watch.hurry()
	if !c.watch.isMaster(n) {
		return errReplaced
	}
	for _, a := range open {
		if a.ctx.Err() == nil {
			return nil
		}
	}
	return errUnproven
}

// settle finishes a write that was executed.
func (a *attempt) settle(replicas int64, err error) {
	switch {
	case err != nil:
		a.finish(&unconfirmed{err})
	case replicas > 0:
		a.achieved = Replicated
		a.finish(nil)
	case a.strict:
		a.finish(&unconfirmed{errOneCopy})
	default:
		a.achieved = Single
		a.finish(nil)
	}
}

func finishAll(attempts []*attempt, err error) {
	for _, a := range attempts {
		a.finish(err)
	}
}

// unconfirmed wraps what kept a write from being confirmed after it was executed, also where that is an answer of the
// node to WAIT.
type unconfirmed struct{ cause error }

func (e *unconfirmed) Error() string { return e.cause.Error() }

// Is tells a strict write that was refused its one copy from others. The cause is not unwrapped: an answer to WAIT says
// nothing of the write.
func (e *unconfirmed) Is(target error) bool { return target == errOneCopy && e.cause == errOneCopy }
