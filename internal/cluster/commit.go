package cluster

import (
	"context"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// replicaPatience is how long the first WAIT waits for the replicas. After it, WAIT is sent every askAgain with no replicas
// to wait for, so that it answers at once: a node that waits is as silent as a dead one.
const (
	replicaPatience = 50 * time.Millisecond
	askAgain        = 10 * time.Millisecond
)

// A commitment is a group of writes to one master, followed by one WAIT on the same connection. WAIT covers only the writes
// of its own connection, up to the last one. So a script that acknowledges an effect must write something even if it finds
// the effect already there. WAIT does not tell which replicas it counts: that comes from ROLE, before it and after.
type commitment struct {
	client *Client
	conn   *redis.Conn
	shard  *watch.Shard    // the shard of the master; nil if the node is not a master
	open   []*peer.Attempt // executed, but not finished
	offset int64           // of the replication stream, at or after the writes
	copies int64           // how many of the replicas that count have the writes
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
	reached, err := g.execute(attempts)
	g.settle(g.outlast(reached, err))
}

// execute sends the writes with a first WAIT, finishes those that failed, and returns how far the replicas are.
func (g *commitment) execute(attempts []*peer.Attempt) (reached, error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.client.cfg.Attempt+replicaPatience)
	defer cancel()
	pipe := g.conn.Pipeline()
	peer.Queue(ctx, pipe, attempts)
	produced := pipe.Do(ctx, "role")
	first := g.firstWait()
	_ = pipe.Process(ctx, first)
	role := pipe.Do(ctx, "role")
	_, _ = pipe.Exec(ctx)
	for _, a := range attempts {
		if failed := a.Cmd.Err(); failed != nil {
			a.Finish(failed)
		} else {
			g.open = append(g.open, a)
		}
	}
	if first.Err() != nil {
		return reached{}, first.Err()
	}
	if peer.IsDenied(produced.Err()) {
		now, err := g.withoutRole(ctx, first.Val())
		g.offset = now.offset
		return now, err
	}
	at, err := parseRole(produced)
	if err != nil {
		return reached{}, err
	}
	g.offset = at.offset
	return parseRole(role)
}

// firstWait waits for every replica that counts and is not gone. If there is none, Redis would take up to 100 ms to say so.
func (g *commitment) firstWait() *redis.IntCmd {
	awaited := int64(1)
	if g.shard != nil {
		awaited = g.shard.Awaited()
	}
	if awaited == 0 {
		return waitCmd(0, 0)
	}
	return waitCmd(awaited, replicaPatience)
}

// outlast asks how far the replicas are until every one that must have the writes does, or those that lack them are marked.
func (g *commitment) outlast(now reached, err error) error {
	for len(g.open) > 0 && err == nil && !g.suffices(now) {
		if err = g.mayWait(); err == nil {
			time.Sleep(askAgain)
			now, err = g.reached()
		}
	}
	return err
}

// suffices reports whether the writes may be acknowledged. The replicas that count are learnt after the writes were executed,
// and marked after that.
func (g *commitment) suffices(now reached) bool {
	if g.shard == nil || g.shard.Replaced() {
		return false
	}
	needed, known := g.shard.Needed()
	if !known {
		return false
	}
	if now.blind {
		g.copies = min(now.count, int64(len(needed)))
		return g.copies == int64(len(needed))
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.client.cfg.Attempt)
	defer cancel()
	acks := g.shard.Acknowledged(ctx, needed, now.replicas)
	g.shard.Waited(now.offset, acks)
	lacking := acks.Lacking(needed, g.offset)
	g.copies = int64(len(needed) - len(lacking))
	return len(lacking) == 0 || g.shard.Gone(lacking) && g.shard.Mark(ctx, lacking) == nil
}

// reached asks how far the replicas are.
func (g *commitment) reached() (reached, error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.client.cfg.Attempt)
	defer cancel()
	role := g.conn.Do(ctx, "role")
	if !peer.IsDenied(role.Err()) {
		return parseRole(role)
	}
	first := g.firstWait()
	_ = g.conn.Process(ctx, first)
	if err := first.Err(); err != nil {
		return reached{}, err
	}
	return g.withoutRole(ctx, first.Val())
}

// withoutRole asks INFO how far the replicas are, where the user may not run ROLE. If that is denied too, only the number of
// replicas is known that WAIT has counted. With several replicas, that may have been others than those that count. So then a write
// has as many copies as it should, but a takeover may pass it by; no instance can have a lease, since the registers ask INFO too,
// so none is asked for by the service, and the doctor says that the promise is broken.
func (g *commitment) withoutRole(ctx context.Context, count int64) (reached, error) {
	text, err := g.conn.Info(ctx, "replication").Result()
	switch {
	case peer.IsDenied(err):
		return reached{blind: true, count: count}, nil
	case err != nil:
		return reached{}, err
	}
	fields := view.ParseInfo(text)
	said := view.ParseReplication(fields)
	if !said.Master {
		return reached{}, errReplaced
	}
	return reached{offset: said.Offset, replicas: view.ParseConnected(fields)}, nil
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
	return errUnmarked
}

// settle finishes the writes that were executed.
func (g *commitment) settle(err error) {
	for _, a := range g.open {
		if err != nil {
			a.Finish(peer.Unconfirmed(err))
			continue
		}
		a.Copies = g.copies
		a.Finish(nil)
	}
}

// waitCmd makes a WAIT command. With 0 replicas it answers at once.
func waitCmd(replicas int64, patience time.Duration) *redis.IntCmd {
	return redis.NewIntCmd(context.Background(), "wait", replicas, patience.Milliseconds())
}

// A reached is what a master says of its replication stream (ROLE, or INFO).
type reached struct {
	offset   int64
	replicas map[string]int64 // the offset that each connected replica has acknowledged, by its address

	blind bool  // it does not say any of that
	count int64 // then: how many replicas have the writes (WAIT)
}

// parseRole interprets a master's reply to ROLE. A node that is no master any more has been replaced. Of one that refuses to
// tell, no replica is known to have anything.
func parseRole(role *redis.Cmd) (reached, error) {
	reply, err := role.Slice()
	if peer.IsReply(err) {
		return reached{offset: math.MaxInt64}, nil
	}
	if err != nil {
		return reached{}, err
	}
	if len(reply) != 3 || reply[0] != "master" {
		return reached{}, errReplaced
	}
	r := reached{replicas: map[string]int64{}}
	r.offset, _ = reply[1].(int64)
	connected, _ := reply[2].([]any)
	for _, c := range connected {
		fields, _ := c.([]any)
		if len(fields) != 3 {
			continue
		}
		host, _ := fields[0].(string)
		port, _ := fields[1].(string)
		text, _ := fields[2].(string)
		r.replicas[net.JoinHostPort(host, port)], _ = strconv.ParseInt(text, 10, 64)
	}
	return r, nil
}
