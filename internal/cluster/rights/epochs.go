package rights

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Which elections are known to be over. A master does not tell whom it has voted for, only that some epoch has come up
// (rule 3).

// A seal says that every epoch up to one is accounted for: its election has been won by one of these masters, or by one
// that they have replaced since, or by nobody.
type seal struct {
	epoch   int64            // -1 if nothing is accounted for
	masters map[string]int64 // the configuration epochs of those with slots, by ID
	idle    map[string]bool  // IDs of masters without slots
}

var unsealed = seal{epoch: -1}

// sealOf returns the masters of a view, with nothing accounted for.
func sealOf(v view.View) seal {
	s := seal{-1, map[string]int64{}, map[string]bool{}}
	for _, n := range v.Nodes {
		switch {
		case n.Master && n.Slots > 0:
			s.masters[n.ID] = n.Epoch
		case n.Master:
			s.idle[n.ID] = true
		}
	}
	return s
}

// String is the form in which registers keep the masters: "id@epoch id@epoch -id", sorted. The last one has no slots.
func (s seal) String() string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(s.masters)) {
		parts = append(parts, fmt.Sprintf("%s@%d", id, s.masters[id]))
	}
	for _, id := range slices.Sorted(maps.Keys(s.idle)) {
		parts = append(parts, "-"+id)
	}
	return strings.Join(parts, " ")
}

func parseSeal(epoch, masters string) (seal, error) {
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return unsealed, fmt.Errorf("a seal's epoch: %w", err)
	}
	s := seal{n, map[string]int64{}, map[string]bool{}}
	for _, entry := range strings.Fields(masters) {
		if id, ok := strings.CutPrefix(entry, "-"); ok {
			s.idle[id] = true
			continue
		}
		id, of, _ := strings.Cut(entry, "@")
		if s.masters[id], err = strconv.ParseInt(of, 10, 64); err != nil {
			return unsealed, fmt.Errorf("a seal's master: %w", err)
		}
	}
	return s, nil
}

// after accounts for each next epoch that somebody has won who was no master before. A master that has raised its own epoch (a
// slot was moved to it) has won no election, so somebody else may still win one in that epoch.
func (s seal) after(before seal) seal {
	promoted := map[int64]bool{}
	for id, epoch := range s.masters {
		if _, was := before.masters[id]; !was && !before.idle[id] {
			promoted[epoch] = true
		}
	}
	for s.epoch = before.epoch; s.epoch >= 0 && promoted[s.epoch+1]; {
		s.epoch++
	}
	return s
}

// learn takes over what a seal that somebody has left accounts for, if our masters reflect it: each of ours is a master of
// that seal, with the same epoch, or has won its slots later; and no more of its masters are gone than have been replaced.
func (s seal) learn(other seal) seal {
	if other.epoch <= s.epoch {
		return s
	}
	later := 0
	for id, epoch := range s.masters {
		if epoch > other.epoch {
			later++
		} else if sealed, ok := other.masters[id]; !ok || sealed != epoch {
			return s
		}
	}
	gone := 0
	for id := range other.masters {
		if _, ok := s.masters[id]; !ok {
			gone++
		}
	}
	if gone > later {
		return s
	}
	return s.after(other)
}
