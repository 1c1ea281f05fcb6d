package view

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MastersByVM counts the masters that own slots, for every VM in the view. A VM without any counts 0.
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

// Assigned counts the slots that have a master, healthy or not.
func (v View) Assigned() int {
	n := 0
	for _, node := range v.Nodes {
		if node.Master {
			n += node.Slots
		}
	}
	return n
}

// WithoutReplica returns the masters that own slots but have no live replica. If such a master is lost, so are its slots.
func (v View) WithoutReplica() []Node {
	replicas := map[string]int{}
	for _, n := range v.Nodes {
		if n.Health == Healthy || n.Health == Suspected {
			replicas[n.MasterID]++
		}
	}
	return slices.DeleteFunc(slices.Clone(v.Nodes), func(n Node) bool { return !n.Master || n.Slots == 0 || replicas[n.ID] > 0 })
}

// ReplicasOf returns the replicas of a master, whatever their health.
func (v View) ReplicasOf(id string) []Node {
	return slices.DeleteFunc(slices.Clone(v.Nodes), func(n Node) bool { return id == "" || n.MasterID != id })
}

// CheckPlacement returns an error if a replica shares its master's VM, because both would be lost together.
func (v View) CheckPlacement() error {
	var wrong []string
	for _, n := range v.Nodes {
		if m, ok := v.Node(n.MasterID); ok && m.VM() == n.VM() {
			wrong = append(wrong, fmt.Sprintf("replica %s shares %s with its master %s", n.Addr, n.VM(), m.Addr))
		}
	}
	if len(wrong) > 0 {
		return errors.New("placement: " + strings.Join(wrong, "; "))
	}
	return nil
}
