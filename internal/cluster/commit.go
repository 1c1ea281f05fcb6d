package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// replicaPatience is how long the first WAIT waits for the replica. After it, WAIT is sent every askAgain with no replicas
// to wait for, so that it answers at once: a node that waits is as silent as a dead one.
const (
	replicaPatience = 50 * time.Millisecond
	askAgain        = 10 * time.Millisecond
)

// A commitment is a group of writes to one master, followed by one WAIT on the same connection. WAIT covers only the writes
// of its own connection, up to the last one. So a script that acknowledges an effect must write something even if it finds
// the effect already there.
type commitment struct {
	client *Client
	conn   *redis.Conn
	shard  *watch.Shard    // the shard of the master; nil if the node is not a master
	open   []*peer.Attempt // executed, but not finished
}

// commit sends a group of writes to a node and finishes each of them.
func (c *Client) commit(p *peer.Peer, attempts []*peer.Attempt) {
	c.metrics.peer.Batch("replicated", len(attempts))
	defer p.Notice(attempts)
	rdb, err := p.Traffic()
	if err != nil {
		peer.FinishAll(attempts, err)
		return
	}
	g := &commitment{client: c, conn: rdb.Conn(), shard: c.watch.Topology().MasteredBy(p)}
	defer g.conn.Close()
	copies, err := g.execute(attempts)
	copies, err = g.outlast(copies, err)
	g.settle(copies, err)
}

// execute sends the writes with a first WAIT, finishes those that failed, and returns how many replicas have the rest.
func (g *commitment) execute(attempts []*peer.Attempt) (copies int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.client.cfg.Attempt+replicaPatience)
	defer cancel()
	needed := g.needed()
	first := waitCmd(needed, replicaPatience)
	if needed == 0 {
		first = waitCmd(0, 0) // there is no replica to wait for, and Redis would take up to 100 ms to say so
	}
	pipe := g.conn.Pipeline()
	peer.Queue(ctx, pipe, attempts)
	_ = pipe.Process(ctx, first)
	_, _ = pipe.Exec(ctx)
	for _, a := range attempts {
		if failed := a.Cmd.Err(); failed != nil {
			a.Finish(failed)
		} else {
			g.open = append(g.open, a)
		}
	}
	return g.waited(first.Result())
}

// outlast asks how many replicas have the writes until they suffice.
func (g *commitment) outlast(copies int64, err error) (int64, error) {
	for len(g.open) > 0 && err == nil && !g.suffices(copies) {
		if err = g.mayWait(); err == nil {
			time.Sleep(askAgain)
			copies, err = g.confirmed()
		}
	}
	return copies, err
}

// confirmed returns how many replicas have the writes of the connection.
func (g *commitment) confirmed() (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.client.cfg.Attempt)
	defer cancel()
	now := waitCmd(0, 0)
	_ = g.conn.Process(ctx, now)
	return g.waited(now.Result())
}

// waited records the outcome of a WAIT.
func (g *commitment) waited(copies int64, err error) (int64, error) {
	if g.shard != nil && err == nil {
		g.shard.Waited(copies >= g.shard.Needed())
	}
	return copies, err
}

// needed is how many replicas must have the writes; see [watch.Shard.Needed].
func (g *commitment) needed() int64 {
	if g.shard == nil {
		return 1
	}
	return g.shard.Needed()
}

// suffices reports whether the writes may be acknowledged that so many replicas have.
func (g *commitment) suffices(copies int64) bool {
	if g.shard == nil {
		return copies > 0
	}
	return g.shard.Suffices(copies)
}

// mayWait returns the reason to stop waiting for a replica: no caller waits for the outcome any more, or the master was
// replaced. It is nil if there is none.
func (g *commitment) mayWait() error {
	g.client.watch.Hasten()
	switch {
	case g.shard == nil || g.shard.Replaced():
		return errReplaced
	case slices.ContainsFunc(g.open, (*peer.Attempt).Waited):
		return nil
	}
	return errUnproven
}

// settle finishes the writes that were executed, with the outcome of the last WAIT.
func (g *commitment) settle(copies int64, err error) {
	if len(g.open) > 0 && err == nil && (copies == 0 || copies < g.needed()) && !g.shard.LeaveBehind() {
		err = errReplaced
	}
	for _, a := range g.open {
		if err != nil {
			a.Finish(peer.Unconfirmed(err))
			continue
		}
		a.Copies = copies
		a.Finish(nil)
	}
}

// waitCmd makes a WAIT command. With 0 replicas it answers at once, with the number of replicas that have all writes.
func waitCmd(replicas int64, patience time.Duration) *redis.IntCmd {
	return redis.NewIntCmd(context.Background(), "wait", replicas, patience.Milliseconds())
}
