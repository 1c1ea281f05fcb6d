package model

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// step says what happens between two states.
type step struct {
	what string
	who  uint8 // instance, or candidate
	node uint8 // register, or replica
}

// found is the end of a search: how many states there are, and the shortest way to a bad one, if there is one.
type found struct {
	states int
	depth  int
	bad    invariant
	trace  []string
	whole  bool // everything within the bounds was explored
}

// search explores breadth first. States are kept whole, not as hashes, so that none is taken for another.
type search struct {
	world  *world
	seed   maphash.Seed
	states []state
	parent []int32
	table  []int32 // open addressing: 1 + index into states
}

// explore goes through all states that can be reached, up to limit of them, and stops at the first that violates an invariant.
func explore(w *world, limit int) found {
	s := &search{world: w, seed: maphash.MakeSeed(), table: make([]int32, 1<<16)}
	s.add(w.canonical(w.start()), -1)
	depth, layerEnd, bad := 0, 1, -1
	for at := 0; at < len(s.states) && bad < 0; at++ {
		if at == layerEnd {
			depth, layerEnd = depth+1, len(s.states)
		}
		if len(s.states) > limit {
			return found{states: len(s.states), depth: depth}
		}
		w.next(s.states[at], func(_ step, n state) {
			if s.add(w.canonical(n), int32(at)) && n.bad != holds && bad < 0 {
				bad = len(s.states) - 1
			}
		})
	}
	if bad < 0 {
		return found{states: len(s.states), depth: depth, whole: true}
	}
	return found{states: len(s.states), depth: depth + 1, bad: s.states[bad].bad, trace: s.trace(bad)}
}

// add says whether the state is new.
func (s *search) add(n state, parent int32) bool {
	if 2*len(s.states) >= len(s.table) {
		s.grow()
	}
	at := s.slot(&n)
	if s.table[at] != 0 {
		return false
	}
	s.states = append(s.states, n)
	s.parent = append(s.parent, parent)
	s.table[at] = int32(len(s.states))
	return true
}

func (s *search) slot(n *state) int {
	size := uint64(len(s.table))
	at := maphash.Bytes(s.seed, n.bytes()) % size
	for s.table[at] != 0 && s.states[s.table[at]-1] != *n {
		at = (at + 1) % size
	}
	return int(at)
}

func (s *search) grow() {
	s.table = make([]int32, 2*len(s.table))
	for i := range s.states {
		s.table[s.slot(&s.states[i])] = int32(i + 1)
	}
}

// trace walks from the start to a state once more, without changing names on the way, so that A stays A.
func (s *search) trace(to int) []string {
	var path []int
	for at := to; at >= 0; at = int(s.parent[at]) {
		path = append([]int{at}, path...)
	}
	now := s.world.start()
	var lines []string
	for _, at := range path[1:] {
		var how step
		var then state
		s.world.next(now, func(st step, n state) {
			if how.what == "" && s.world.canonical(n) == s.states[at] {
				how, then = st, n
			}
		})
		lines = append(lines, fmt.Sprintf("%2d. %s", len(lines)+1, s.world.tell(how, &now, &then)))
		now = then
	}
	return lines
}

func (f found) String() string {
	if f.bad == holds {
		return fmt.Sprintf("%d states, depth %d, whole: %v", f.states, f.depth, f.whole)
	}
	return fmt.Sprintf("%s after %d states\n%s", f.bad, f.states, strings.Join(f.trace, "\n"))
}
