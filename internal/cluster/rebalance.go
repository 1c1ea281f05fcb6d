package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// maxLag is how far behind its master a replica may be to count as in step, in bytes of the replication stream: under
// load it is never at exactly the same byte. CLUSTER FAILOVER holds the master's writes back until the rest has arrived.
const maxLag = 64 << 10

// failoverTimeout is how long Redis pursues a CLUSTER FAILOVER before it gives up and lets the writes go on, and a little.
const failoverTimeout = 6 * time.Second

// Rebalance makes the moves that PlanRebalance finds, one after the other, each by a plain CLUSTER FAILOVER, which loses
// nothing: writes to the shard wait for some milliseconds. It begins when no votes of earlier elections can count any more,
// which a client that is new to the cluster knows only after four node timeouts. Each move begins when the replica is in
// step, and the next when all nodes that answer have seen the promotion and the former master follows. It fails where the
// plan does, before anything was moved, and with the step that was waited for when the context ends; what was moved until
// then stays so.
func (c *Client) Rebalance(ctx context.Context, log *slog.Logger) error {
	moves, err := c.planRebalance(ctx)
	for waited := true; waited && err == nil; {
		if waited, err = c.outlastVotes(ctx, moves, log); waited && err == nil {
			moves, err = c.planRebalance(ctx) // the other plan is as old as the wait
		}
	}
	if err != nil {
		return err
	}
	for _, m := range moves {
		log.Info("cluster: promoting", "replica", m.Replica.Addr, "vm", m.Replica.VM(), "instead of", m.Master.Addr, "on", m.Master.VM())
		if err := c.promote(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		log.Info("cluster: promoted", "replica", m.Replica.Addr, "vm", m.Replica.VM())
	}
	return nil
}

// planRebalance is the plan for the cluster as it is now.
func (c *Client) planRebalance(ctx context.Context) ([]view.Move, error) {
	v, err := c.Look(ctx)
	if err != nil {
		return nil, err
	}
	return view.PlanRebalance(v)
}

// outlastVotes waits until no votes can count any more that the replicas were given, and reports whether it had to. If the
// context will end before, it fails at once.
func (c *Client) outlastVotes(ctx context.Context, moves []view.Move, log *slog.Logger) (waited bool, err error) {
	for _, m := range moves {
		err := until(ctx, func(context.Context) error {
			if c.watch.lastOf(c.node(m.Replica.Addr)).at.IsZero() { // its node timeout is not known yet
				return fmt.Errorf("%s has not answered", m.Replica.Addr)
			}
			return nil
		})
		if err != nil {
			return waited, fmt.Errorf("waiting for a word of the replica: %w", err)
		}
		wait := c.watch.votesCount(c.node(m.Replica.Addr))
		if wait <= 0 {
			continue
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
			return waited, fmt.Errorf("votes of earlier elections may count for another %s, and there is less time", wait.Round(time.Millisecond))
		}
		log.Info("cluster: waiting until the votes of earlier elections have expired", "replica", m.Replica.Addr, "for", wait.Round(time.Millisecond))
		if waited = true; !sleep(ctx, wait) {
			return waited, fmt.Errorf("waiting until the votes of earlier elections have expired: %w", ctx.Err())
		}
	}
	return waited, nil
}

func (c *Client) promote(ctx context.Context, m view.Move) error {
	if err := until(ctx, func(ctx context.Context) error { return c.follows(ctx, m.Replica, m.Master) }); err != nil {
		return fmt.Errorf("waiting until the replica is in step: %w", err)
	}
	var asked time.Time
	err := until(ctx, func(ctx context.Context) error {
		v, err := c.view(ctx, m.Replica.Addr)
		if err != nil {
			return err
		}
		if me, _ := v.Node(m.Replica.ID); me.Master && me.Slots > 0 {
			return nil
		}
		if time.Since(asked) > failoverTimeout {
			if c.watch.votesCount(c.node(m.Replica.Addr)) > 0 { // somebody else has moved the shard meanwhile
				return fmt.Errorf("votes of an earlier election may count for %s", m.Replica.Addr)
			}
			if err := c.at(m.Replica.Addr).ClusterFailover(ctx).Err(); err != nil {
				return fmt.Errorf("%s: CLUSTER FAILOVER: %w", m.Replica.Addr, err)
			}
			asked = time.Now()
		}
		return fmt.Errorf("%s is still a replica", m.Replica.Addr)
	})
	if err != nil {
		return fmt.Errorf("waiting for the promotion: %w", err)
	}
	if err := until(ctx, func(ctx context.Context) error { return c.agreed(ctx, m) }); err != nil {
		return fmt.Errorf("waiting until all nodes know: %w", err)
	}
	if err := until(ctx, func(ctx context.Context) error { return c.follows(ctx, m.Master, m.Replica) }); err != nil {
		return fmt.Errorf("waiting until the former master follows: %w", err)
	}
	return nil
}

// follows fails until the replica has a link to the master and is in step.
func (c *Client) follows(ctx context.Context, replica, master view.Node) error {
	its, err := c.Replication(ctx, replica.Addr)
	if err != nil {
		return err
	}
	masters, err := c.Replication(ctx, master.Addr)
	if err != nil {
		return err
	}
	if !its.LinkUp {
		return fmt.Errorf("%s has no link to its master", replica.Addr)
	}
	if lag := masters.Offset - its.Offset; lag > maxLag {
		return fmt.Errorf("%s is %d bytes behind its master", replica.Addr, lag)
	}
	return nil
}

// agreed fails until every node that answers sees the move done; the two that it is about must answer.
func (c *Client) agreed(ctx context.Context, m view.Move) error {
	for _, addr := range c.addrs() {
		v, err := c.view(ctx, addr)
		if err != nil {
			if addr == m.Replica.Addr || addr == m.Master.Addr {
				return err
			}
			continue
		}
		replica, _ := v.Node(m.Replica.ID)
		master, _ := v.Node(m.Master.ID)
		if !replica.Master || replica.Slots == 0 || master.MasterID != m.Replica.ID {
			return fmt.Errorf("%s does not know yet", addr)
		}
	}
	return nil
}
