package admin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// maxLag is how far behind its master a replica may be to count as in step, in bytes of the replication stream: under
// load it is never at exactly the same byte. CLUSTER FAILOVER holds the master's writes back until the rest has arrived.
const maxLag = 64 << 10

// failoverTimeout is how long Redis pursues a CLUSTER FAILOVER before it gives up and lets the writes go on, and a little.
const failoverTimeout = 6 * time.Second

// Rebalance makes the moves that [view.PlanRebalance] finds, one after the other, each by a plain CLUSTER FAILOVER, which
// loses nothing: writes to the shard wait for some milliseconds. It begins when no votes of earlier elections can count any
// more, which a client knows only after it has watched for four node timeouts, as it does from its first rebalance on. Each move begins when the replica is
// in step, and the next when all nodes that answer have seen the promotion and the former master follows. It fails where
// the plan does, before anything was moved, and with the step that was waited for when the context ends; what was moved
// until then stays so.
func (c *Client) Rebalance(ctx context.Context, log *slog.Logger) error {
	b := balancer{client: c, watch: c.watcher(), log: log}
	moves, err := b.plan(ctx)
	if err != nil {
		return err
	}
	for _, m := range moves {
		log.Info("cluster: promoting", "replica", m.Replica.Addr, "vm", m.Replica.VM(), "master", m.Master.Addr, "master_vm", m.Master.VM())
		if err := b.move(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		log.Info("cluster: promoted", "replica", m.Replica.Addr, "vm", m.Replica.VM())
	}
	return nil
}

// A balancer rebalances a cluster once.
type balancer struct {
	client *Client
	watch  *watch.Watcher
	log    *slog.Logger
}

// plan finds the moves, and waits until nothing speaks against them any more. After a wait the plan is made anew: the one
// from before is as old as the wait.
func (b *balancer) plan(ctx context.Context) ([]view.Move, error) {
	for {
		v, err := b.client.Look(ctx)
		if err != nil {
			return nil, err
		}
		moves, err := view.PlanRebalance(v)
		if err != nil {
			return nil, err
		}
		if waited, err := b.outlastVotes(ctx, moves); err != nil || !waited {
			return moves, err
		}
	}
}

// outlastVotes waits until no votes can count any more that the replicas were given, and reports whether it had to. If the
// context will end before, it fails at once.
func (b *balancer) outlastVotes(ctx context.Context, moves []view.Move) (waited bool, err error) {
	for _, m := range moves {
		wait, err := b.votesCount(ctx, m.Replica.Addr)
		if err != nil {
			return waited, err
		}
		if wait <= 0 {
			continue
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
			return waited, fmt.Errorf("votes of earlier elections may count for another %s, which is longer than the time left", wait.Round(time.Millisecond))
		}
		b.log.Info("cluster: waiting until the votes of earlier elections have expired", "replica", m.Replica.Addr, "for", wait.Round(time.Millisecond))
		waited = true
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return waited, fmt.Errorf("waiting until the votes of earlier elections have expired: %w", ctx.Err())
		}
	}
	return waited, nil
}

// votesCount is for how long votes may still count that a replica was given. It waits for a word of the replica, which
// tells the node timeout.
func (b *balancer) votesCount(ctx context.Context, replica string) (wait time.Duration, err error) {
	err = until(ctx, func(context.Context) error {
		var known bool
		if wait, known = b.watch.VotesCount(b.client.peers.At(replica)); !known {
			return fmt.Errorf("%s has not answered", replica)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for an answer from the replica: %w", err)
	}
	return wait, nil
}

// move promotes a replica, step by step.
func (b *balancer) move(ctx context.Context, m view.Move) error {
	var asked time.Time
	steps := []struct {
		what string
		done func(context.Context) error
	}{
		{"until the replica is in step", func(ctx context.Context) error { return b.follows(ctx, m.Replica, m.Master) }},
		{"for the promotion", func(ctx context.Context) error { return b.promoted(ctx, m, &asked) }},
		{"until all nodes know of the promotion", func(ctx context.Context) error { return b.agreed(ctx, m) }},
		{"until the former master follows", func(ctx context.Context) error { return b.follows(ctx, m.Master, m.Replica) }},
	}
	for _, s := range steps {
		if err := until(ctx, s.done); err != nil {
			return fmt.Errorf("waiting %s: %w", s.what, err)
		}
	}
	return nil
}

// promoted asks the replica to take over, again when Redis has given up, and fails until it has.
func (b *balancer) promoted(ctx context.Context, m view.Move, asked *time.Time) error {
	said, err := b.client.askOne(ctx, m.Replica.Addr)
	if err != nil {
		return err
	}
	if me, _ := said.View.Node(m.Replica.ID); me.Master && me.Slots > 0 {
		return nil
	}
	if time.Since(*asked) > failoverTimeout {
		p := b.client.peers.At(m.Replica.Addr)
		if wait, _ := b.watch.VotesCount(p); wait > 0 { // somebody else has moved the shard since the plan
			return fmt.Errorf("votes of an earlier election may still count for %s", m.Replica.Addr)
		}
		if err := p.Questions().ClusterFailover(ctx).Err(); err != nil {
			return fmt.Errorf("%s: CLUSTER FAILOVER: %w", m.Replica.Addr, err)
		}
		*asked = time.Now()
	}
	return fmt.Errorf("%s is still a replica", m.Replica.Addr)
}

// follows fails until the replica has a link to the master and is in step.
func (b *balancer) follows(ctx context.Context, replica, master view.Node) error {
	its, err := b.client.askOne(ctx, replica.Addr)
	if err != nil {
		return err
	}
	masters, err := b.client.askOne(ctx, master.Addr)
	if err != nil {
		return err
	}
	if !its.Replication.LinkUp {
		return fmt.Errorf("%s has no link to its master", replica.Addr)
	}
	if lag := masters.Replication.Offset - its.Replication.Offset; lag > maxLag {
		return fmt.Errorf("%s is %d bytes behind its master", replica.Addr, lag)
	}
	return nil
}

// agreed fails until every node that answers sees the move done; the two that it is about must answer.
func (b *balancer) agreed(ctx context.Context, m view.Move) error {
	for _, said := range b.client.ask(ctx, b.client.peers.All()) {
		if said.Err != nil {
			if said.Addr == m.Replica.Addr || said.Addr == m.Master.Addr {
				return fmt.Errorf("%s: %w", said.Addr, said.Err)
			}
			continue
		}
		replica, _ := said.View.Node(m.Replica.ID)
		master, _ := said.View.Node(m.Master.ID)
		if !replica.Master || replica.Slots == 0 || master.MasterID != m.Replica.ID {
			return fmt.Errorf("%s does not show the promotion yet", said.Addr)
		}
	}
	return nil
}
