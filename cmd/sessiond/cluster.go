package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster/admin"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

type initCmd struct {
	Redis   redisFlags    `embed:""`
	Shard   []string      `sep:"none" required:"" placeholder:"MASTER,REPLICA,..." help:"The nodes of one shard as host:port, the master first. Give it once per shard."`
	Timeout time.Duration `default:"60s" env:"-" help:"How long to wait for the nodes (${default})."`
}

// Run forms the cluster. It may be run again at any time.
func (i *initCmd) Run(ctx context.Context, c console) error {
	var shards []admin.Layout
	for _, s := range i.Shard {
		shard, err := admin.ParseLayout(s)
		if err != nil {
			return fmt.Errorf("--shard: %w", err)
		}
		shards = append(shards, shard)
		i.Redis.Redis = append(i.Redis.Redis, shard.Master)
	}
	client, err := i.Redis.admin(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, i.Timeout)
	defer cancel()
	if err := client.Form(ctx, shards, slog.New(slog.NewTextHandler(c.err, nil))); err != nil {
		return err
	}
	return printStatus(ctx, client, c)
}

type statusCmd struct {
	Redis   redisFlags    `embed:""`
	Timeout time.Duration `default:"3s" env:"-" help:"How long to wait for the nodes to respond (${default})."`
}

// Run prints the nodes, and warns of a master whose loss would lose its slots, and of a VM whose loss would take more
// masters than it has to. It fails if a slot is not covered, or if a replica shares its master's VM.
func (s *statusCmd) Run(ctx context.Context, c console) error {
	client, err := s.Redis.admin(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return printStatus(ctx, client, c)
}

func printStatus(ctx context.Context, client *admin.Client, c console) error {
	nodes, err := client.Status(ctx)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VM\tNODE\tROLE\tSLOTS\tHEALTH\tLINK\tLAG")
	var v view.View
	for _, n := range nodes {
		v.Nodes = append(v.Nodes, n.Node)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.VM(), n.Addr, n.Role(), slots(n), health(n), link(n), lag(n))
	}
	t.Flush()
	fmt.Fprintf(c.out, "%d of %d slots covered, epoch %d\n", v.Covered(), view.Slots, v.Epoch())
	for _, n := range v.WithoutReplica() {
		fmt.Fprintf(c.out, "warning: master %s on %s has no healthy replica\n", n.Addr, n.VM())
	}
	masters := v.MastersByVM()
	for _, vm := range slices.Sorted(maps.Keys(masters)) {
		if moves, err := view.PlanRebalance(v); masters[vm] > 1 && (err != nil || len(moves) > 0) {
			fmt.Fprintf(c.out, "warning: %s has %d masters: once all VMs are up, run sessiond cluster rebalance\n", vm, masters[vm])
		}
	}
	if v.Covered() < view.Slots {
		return fmt.Errorf("%d slots are not covered", view.Slots-v.Covered())
	}
	return v.CheckPlacement()
}

type rebalanceCmd struct {
	Redis   redisFlags    `embed:""`
	Audit   auditFlags    `embed:""`
	DryRun  bool          `env:"-" help:"Print the plan and do nothing."`
	Timeout time.Duration `default:"3m" env:"-" help:"Time limit for the whole command (${default}). It waits four node timeouts before it moves anything."`
}

// Run brings every VM back to one master, and prints what it does. It fails, with the reasons, if it cannot.
func (r *rebalanceCmd) Run(ctx context.Context, c console) error {
	client, err := r.Redis.admin(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	v, err := client.Look(ctx)
	if err != nil {
		return err
	}
	moves, err := view.PlanRebalance(v)
	if err != nil {
		return err
	}
	if len(moves) == 0 {
		fmt.Fprintln(c.out, "nothing to do: no VM has too many masters")
		return nil
	}
	for _, m := range moves {
		fmt.Fprintln(c.out, "planned:", m)
	}
	if r.DryRun {
		return nil
	}
	if err := r.rebalance(ctx, client, fmt.Sprint(moves), c); err != nil {
		return err
	}
	return printStatus(ctx, client, c)
}

// rebalance makes the moves, and writes that down.
func (r *rebalanceCmd) rebalance(ctx context.Context, client *admin.Client, plan string, c console) error {
	log := slog.New(slog.NewTextHandler(c.err, nil))
	r.Audit.stdout = c.out
	lines, err := r.Audit.open(log, nil)
	if err != nil {
		return err
	}
	defer lines.Close()
	act, err := lines.Begin(byCommand(audit.Rebalance, plan))
	if err != nil {
		return err
	}
	err = client.Rebalance(ctx, log)
	act.EndWith(err, "")
	return err
}

func slots(n admin.NodeStatus) string {
	if !n.Master {
		return "-"
	}
	return strconv.Itoa(n.Slots)
}

func health(n admin.NodeStatus) string {
	if !n.Answers && n.Health == view.Healthy {
		return "unreachable"
	}
	return string(n.Health)
}

func link(n admin.NodeStatus) string {
	switch {
	case n.Master:
		return "-"
	case n.LinkUp:
		return "up"
	}
	return "down"
}

func lag(n admin.NodeStatus) string {
	switch {
	case n.Master:
		return "-"
	case n.Lag < 0:
		return "unknown"
	}
	return strconv.FormatInt(n.Lag, 10) + " B"
}
