package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Move makes a replica the master of its shard.
type Move struct {
	Replica Node // to be promoted
	Master  Node // to become its replica
}

func (m Move) String() string {
	return fmt.Sprintf("%s on %s takes over from %s on %s", m.Replica.Addr, m.Replica.VM(), m.Master.Addr, m.Master.VM())
}

// MastersByVM counts the masters that own slots, for every VM of the view.
func (v View) MastersByVM() map[string]int {
	masters := map[string]int{}
	for _, n := range v.Nodes {
		if n.Health == NoAddress || n.Health == Handshake {
			continue
		}
		masters[n.VM()] += 0
		if n.Master && n.Slots > 0 {
			masters[n.VM()]++
		}
	}
	return masters
}

// PlanRebalance finds the promotions after which every VM has as many masters as any other, one each where there
// are as many shards as VMs; where that cannot come out even they differ by one. Only nodes that are well take part: it
// fails, with the reasons, if a VM would be left without its share. The order keeps every VM at or below the number of
// masters that it has now.
func PlanRebalance(v View) ([]Move, error) {
	// Each round takes one master away from a VM that has the most and gives one to the VM that has the fewest, over as few
	// others as possible.
	plan := v
	plan.Nodes = slices.Clone(v.Nodes)
	for {
		path := plan.shortestPath()
		if path == nil {
			break
		}
		for _, m := range path {
			plan.apply(m)
		}
	}
	if err := plan.unbalanced(); err != nil {
		return nil, err
	}
	return v.movesTo(plan), nil
}

// shortestPath is a chain of moves from a VM with the most masters to one with the fewest, and at least two fewer: the
// first move's replica is on the VM that the second move takes a master from, and so on. Nil if there is none.
func (v View) shortestPath() []Move {
	masters := v.MastersByVM()
	fullest := slices.SortedFunc(maps.Keys(masters), func(a, b string) int {
		return cmp.Or(cmp.Compare(masters[b], masters[a]), cmp.Compare(a, b))
	})
	for _, from := range fullest {
		paths := map[string][]Move{from: nil} // by the VM they lead to
		reached := []string{from}             // nearest first; grows while it is walked
		for i := 0; i < len(reached); i++ {
			for _, m := range v.moves() {
				to := m.Replica.VM()
				if _, seen := paths[to]; !seen && m.Master.VM() == reached[i] {
					paths[to] = append(slices.Clone(paths[reached[i]]), m)
					reached = append(reached, to)
				}
			}
		}
		emptiest := slices.MinFunc(reached, func(a, b string) int { return cmp.Compare(masters[a], masters[b]) })
		if masters[emptiest] <= masters[from]-2 {
			return paths[emptiest]
		}
	}
	return nil
}

// moves are all promotions that are possible now.
func (v View) moves() []Move {
	var moves []Move
	for _, r := range v.Nodes {
		m, ok := v.Node(r.MasterID)
		if ok && r.Health == Healthy && m.Health == Healthy && m.Slots > 0 {
			moves = append(moves, Move{Replica: r, Master: m})
		}
	}
	return moves
}

// apply is what a move does to the view.
func (v View) apply(move Move) {
	for i, n := range v.Nodes {
		switch {
		case n.ID == move.Replica.ID:
			v.Nodes[i].Master, v.Nodes[i].MasterID, v.Nodes[i].Slots = true, "", move.Master.Slots
		case n.ID == move.Master.ID:
			v.Nodes[i].Master, v.Nodes[i].MasterID, v.Nodes[i].Slots = false, move.Replica.ID, 0
		case n.MasterID == move.Master.ID:
			v.Nodes[i].MasterID = move.Replica.ID
		}
	}
}

// movesTo are the moves from this view to a plan, those into the emptiest VMs first.
func (v View) movesTo(plan View) []Move {
	var moves []Move
	for _, n := range v.Nodes {
		if then, _ := plan.Node(n.ID); then.Master && !n.Master {
			master, _ := v.Node(n.MasterID)
			moves = append(moves, Move{Replica: n, Master: master})
		}
	}
	masters := v.MastersByVM()
	for done := range moves {
		next := done
		for i, m := range moves {
			if i > done && masters[m.Replica.VM()] < masters[moves[next].Replica.VM()] {
				next = i
			}
		}
		moves[done], moves[next] = moves[next], moves[done]
		masters[moves[done].Replica.VM()]++
		masters[moves[done].Master.VM()]--
	}
	return moves
}

// unbalanced says which VMs lack a master, and why.
func (v View) unbalanced() error {
	masters := v.MastersByVM()
	if len(masters) == 0 {
		return errors.New("no node has an address")
	}
	most := slices.Max(slices.Collect(maps.Values(masters)))
	var reasons []string
	for _, vm := range slices.Sorted(maps.Keys(masters)) {
		if masters[vm] > most-2 {
			continue
		}
		var nodes []string
		for _, n := range v.Nodes {
			if n.VM() != vm {
				continue
			}
			state := n.Addr + " is " + string(n.Health)
			if m, ok := v.Node(n.MasterID); ok && n.Health == Healthy {
				state = fmt.Sprintf("%s could only take over from %s, which is %s on %s with %d masters", n.Addr, m.Addr, m.Health, m.VM(), masters[m.VM()])
			}
			nodes = append(nodes, state)
		}
		reasons = append(reasons, fmt.Sprintf("%s cannot get its master: %s", vm, strings.Join(nodes, ", ")))
	}
	if len(reasons) > 0 {
		return errors.New(strings.Join(reasons, "; "))
	}
	return nil
}

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
func (c *Client) planRebalance(ctx context.Context) ([]Move, error) {
	view, err := c.Look(ctx)
	if err != nil {
		return nil, err
	}
	return PlanRebalance(view)
}

// outlastVotes waits until no votes can count any more that the replicas were given, and reports whether it had to. If the
// context will end before, it fails at once.
func (c *Client) outlastVotes(ctx context.Context, moves []Move, log *slog.Logger) (waited bool, err error) {
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

func (c *Client) promote(ctx context.Context, m Move) error {
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
func (c *Client) follows(ctx context.Context, replica, master Node) error {
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
func (c *Client) agreed(ctx context.Context, m Move) error {
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
