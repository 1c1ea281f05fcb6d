package view

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Move makes a replica the master of its shard.
type Move struct {
	Replica Node // the node to promote
	Master  Node // its master, which becomes its replica
}

func (m Move) String() string {
	return fmt.Sprintf("%s on %s takes over from %s on %s", m.Replica.Addr, m.Replica.VM(), m.Master.Addr, m.Master.VM())
}

// PlanRebalance finds the promotions that give every VM the same number of masters: one each if there are as many shards
// as VMs. If the number of shards does not divide evenly, VMs differ by one at most. Only healthy nodes take part. It
// fails, with the reasons, if a VM would be left without its share. The moves are ordered so that at no step a VM holds
// more masters than it holds before the first move or after the last.
func PlanRebalance(v View) ([]Move, error) {
	// Each round takes one master from a VM that has the most and gives one to the VM that has the fewest, through as few
	// other VMs as possible.
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

// shortestPath is a chain of moves from a VM with the most masters to one with the fewest, which has at least two fewer.
// The replica of each move is on the VM that the next move takes a master from. It is nil if there is no such chain.
func (v View) shortestPath() []Move {
	masters := v.MastersByVM()
	fullest := slices.SortedFunc(maps.Keys(masters), func(a, b string) int {
		return cmp.Or(cmp.Compare(masters[b], masters[a]), cmp.Compare(a, b))
	})
	for _, from := range fullest {
		paths := map[string][]Move{from: nil} // by the VM that they lead to
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

// moves returns all promotions that are possible now.
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

// apply changes the view as the move would.
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

// movesTo returns the moves from this view to a plan, those into the VMs with the fewest masters first.
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

// unbalanced returns an error that names the VMs that lack a master, and why; nil if none does.
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
		reasons = append(reasons, fmt.Sprintf("%s cannot get a master: %s", vm, strings.Join(nodes, ", ")))
	}
	if len(reasons) > 0 {
		return errors.New(strings.Join(reasons, "; "))
	}
	return nil
}
