package admin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// maxLag is how many bytes of the replication stream a replica may be behind its master and still count as in step. Under
// load it is never at exactly the same byte. CLUSTER FAILOVER pauses the master's writes until the rest has arrived.
const maxLag = 64 << 10

// failoverTimeout is a little longer than Redis takes (5 s) to give up a CLUSTER FAILOVER and resume the writes.
const failoverTimeout = 6 * time.Second

// Rebalance makes the moves of [view.PlanRebalance] one after the other, each by a plain CLUSTER FAILOVER. That loses
// nothing; writes to the shard wait for some milliseconds.
//
// It begins once votes of earlier elections no longer count. A client knows that only after it has watched for four node
// timeouts, and it watches from its first rebalance on. A move begins when its replica is in step. The next one begins when
// all nodes that answer have seen the promotion and the former master follows the new one.
//
// If there is no plan, Rebalance fails before it moves anything. If the context ends, the error names the step that it was
// waiting for, and the moves made by then remain.
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

// plan finds the moves, and waits until votes of earlier elections no longer count for their replicas. After a wait it
// plans again, because the cluster may have changed in between.
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

// outlastVotes waits until votes of earlier elections no longer count for the replicas, and reports whether it had to
// wait. If the context would end first, it fails at once.
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

// votesCount returns how long votes may still count for a replica. It waits for an answer from the replica, which reports
// its node timeout.
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

// promoted asks the replica to take over, and asks again when Redis has given up. It fails until the replica is the master.
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
		if wait, _ := b.watch.VotesCount(p); wait > 0 { // the shard has moved since the plan was made
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

// agreed fails until every node that answers shows the move as done. The two nodes of the move must answer.
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
