package httpapi

import (
	"net"
	"net/http"
	"sync"
)

// Seats are what callers hold for long, event streams for example. Neither all callers together nor one address alone can
// take them all.
type seats struct {
	all, each int // how many there are, and for one address

	mu    sync.Mutex
	taken int            // guarded by mu
	by    map[string]int // seats taken, by address; guarded by mu
}

// take takes a seat for the caller. It returns the function that leaves it, or false if there is none.
func (s *seats) take(r *http.Request) (leave func(), ok bool) {
	addr, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr = r.RemoteAddr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.all || s.by[addr] >= s.each {
		return nil, false
	}
	if s.by == nil {
		s.by = map[string]int{}
	}
	s.taken++
	s.by[addr]++
	return func() { s.leave(addr) }, true
}

func (s *seats) leave(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[addr]--; s.by[addr] == 0 {
		delete(s.by, addr)
	}
}
