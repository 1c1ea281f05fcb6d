package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errNoClient means that the slot map does not name the node, or does not yet.
var errNoClient = errors.New("no connections to the node yet")

// A state is what the watcher makes of a node.
type state int32

const (
	well    state = iota
	suspect       // owes an answer for longer than suspectAfter, broke a connection, or is loading its data
	down          // owes one for longer than downAfter, the watcher's own questions included
)

func (s state) String() string { return [...]string{"well", "suspect", "down"}[s] }

// A node is one Redis process as this client knows it, by its address: its connections, its pulse and its queues. It
// outlives the views that name it.
type node struct {
	addr      string
	pulse     *pulse
	gate      *gate         // of the connections for traffic
	questions *redis.Client // the watcher's; they have no gate, or nobody would notice that the node is back
	traffic   atomic.Pointer[redis.Client]
	entering  sync.Mutex   // held while the state and the gate are set, which must not be mixed up
	current   atomic.Int32 // a state; the watcher sets it

	reads        *batcher
	replicaReads *batcher
	loose        *batcher // writes that wait for no replica
	commits      *batcher // writes that do
}

func (c *Client) newNode(addr string) *node {
	p := newPulse()
	dial := baseDial(c.cfg)
	n := &node{addr: addr, pulse: p, gate: newGate(dial, c.cfg.Attempt, p)}
	n.gate.dialled = func(err error) { c.metrics.dialled(c.watch.nameOf(addr), err) }
	n.questions = redis.NewClient(&redis.Options{
		Addr: addr, Username: c.cfg.Username, Password: c.cfg.Password, Dialer: newGate(dial, c.cfg.Attempt, p).connectFor,
		DialTimeout: c.cfg.Attempt, DialerRetries: 1, ReadTimeout: c.cfg.Attempt, WriteTimeout: c.cfg.Attempt,
		MaxRetries: -1, PoolSize: 4, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	n.reads = &batcher{send: func(as []*attempt) { c.sendReads(n, as, false) }}
	n.replicaReads = &batcher{send: func(as []*attempt) { c.sendReads(n, as, true) }}
	n.loose = &batcher{send: func(as []*attempt) { c.sendLoose(n, as) }}
	n.commits = &batcher{send: func(as []*attempt) { c.commit(n, as) }}
	return n
}

func (n *node) state() state { return state(n.current.Load()) }

// client is the node's connections for traffic.
func (n *node) client() (*redis.Client, error) {
	if rdb := n.traffic.Load(); rdb != nil {
		return rdb, nil
	}
	return nil, errNoClient
}

// enter moves the node to a state, whose gate it opens or shuts, and reports whether it was in another.
func (n *node) enter(s state) bool {
	n.entering.Lock()
	defer n.entering.Unlock()
	if state(n.current.Swap(int32(s))) == s {
		return false
	}
	n.gate.set(s == down)
	return true
}

func (n *node) close() error {
	n.gate.set(true)
	return n.questions.Close()
}

// sendReads sends reads in one pipeline. A replica answers only between READONLY and READWRITE: were the connection left
// readable, it would go on answering for a shard that has moved.
func (c *Client) sendReads(n *node, attempts []*attempt, replica bool) {
	c.metrics.batch("read", len(attempts))
	c.pipeline(n, attempts, func(ctx context.Context, p redis.Pipeliner) {
		if replica {
			p.Do(ctx, "readonly")
		}
		queue(ctx, p, attempts)
		if replica {
			p.Do(ctx, "readwrite")
		}
	})
}

// sendLoose sends writes that wait for no replica.
func (c *Client) sendLoose(n *node, attempts []*attempt) {
	c.metrics.batch("async", len(attempts))
	c.pipeline(n, attempts, func(ctx context.Context, p redis.Pipeliner) { queue(ctx, p, attempts) })
}

// pipeline sends what fill puts into a pipeline, and finishes the attempts with what came of each.
func (c *Client) pipeline(n *node, attempts []*attempt, fill func(context.Context, redis.Pipeliner)) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Attempt)
	defer cancel()
	rdb, err := n.client()
	if err == nil {
		p := rdb.Pipeline()
		fill(ctx, p)
		_, _ = p.Exec(ctx) // the first error of the commands, each of which has its own
	}
	for _, a := range attempts {
		if err != nil {
			a.finish(err)
		} else {
			a.achieved = Async
			a.finish(a.cmd.Err())
		}
	}
	c.watch.notice(n, attempts)
}

// queue puts the attempts' commands into a pipeline.
func queue(ctx context.Context, p redis.Pipeliner, attempts []*attempt) {
	for _, a := range attempts {
		if a.asking {
			p.Do(ctx, "asking")
		}
		_ = p.Process(ctx, a.cmd)
	}
}
