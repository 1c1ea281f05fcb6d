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
	masters map[string]int64 // their configuration epochs, by ID
}

var unsealed = seal{epoch: -1}

func mastersOf(v view.View) map[string]int64 {
	masters := map[string]int64{}
	for _, n := range v.Nodes {
		if n.Master && n.Slots > 0 {
			masters[n.ID] = n.Epoch
		}
	}
	return masters
}

// String is the form in which registers keep the masters: "id@epoch id@epoch", sorted.
func (s seal) String() string {
	var b strings.Builder
	for i, id := range slices.Sorted(maps.Keys(s.masters)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s@%d", id, s.masters[id])
	}
	return b.String()
}

func parseSeal(epoch, masters string) (seal, error) {
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return unsealed, fmt.Errorf("a seal's epoch: %w", err)
	}
	s := seal{epoch: n, masters: map[string]int64{}}
	for _, entry := range strings.Fields(masters) {
		id, of, _ := strings.Cut(entry, "@")
		if s.masters[id], err = strconv.ParseInt(of, 10, 64); err != nil {
			return unsealed, fmt.Errorf("a seal's master: %w", err)
		}
	}
	return s, nil
}

// extend accounts for each next epoch that a master has won which was none before. A master that has raised its own epoch
// (a slot was moved to it) has won no election, so somebody else may still win one in that epoch.
func (s seal) extend(before map[string]int64) seal {
	promoted := map[int64]bool{}
	for id, epoch := range s.masters {
		if _, was := before[id]; !was {
			promoted[epoch] = true
		}
	}
	for s.epoch >= 0 && promoted[s.epoch+1] {
		s.epoch++
	}
	return s
}

// follow returns the seal for newer masters.
func (s seal) follow(masters map[string]int64) seal {
	return seal{epoch: s.epoch, masters: masters}.extend(s.masters)
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
	return seal{epoch: other.epoch, masters: s.masters}.extend(other.masters)
}
