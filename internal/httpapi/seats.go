package httpapi

import (
	"fmt"
	"sync"

	"github.com/sessiond/sessiond/internal/cluster"
)

// Seats are what callers hold for long, event streams and walks for example. No caller can take them all, and all callers
// together no more than there are. A caller is an address, a key or a tenant.
type seats struct {
	all, each int // how many there are, and for one caller

	mu    sync.Mutex
	taken int            // guarded by mu
	by    map[string]int // seats taken, by caller; guarded by mu
}

// The reasons for which there is no seat.
var (
	errNoSeat    = fmt.Errorf("%w: all seats are taken", cluster.ErrOverloaded)
	errNoOwnSeat = fmt.Errorf("%w: the caller has taken the seats that it may", cluster.ErrOverloaded)
)

// take takes a seat for a caller. It returns the function that leaves it.
func (s *seats) take(by string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.by[by] >= s.each:
		return nil, errNoOwnSeat
	case s.taken >= s.all:
		return nil, errNoSeat
	}
	if s.by == nil {
		s.by = map[string]int{}
	}
	s.taken++
	s.by[by]++
	return func() { s.leave(by) }, nil
}

func (s *seats) leave(by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[by]--; s.by[by] == 0 {
		delete(s.by, by)
	}
}
