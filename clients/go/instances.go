package sessiond

import (
	"sync"
	"time"
)

// avoidance is how long an instance that could not serve a request is left alone, as long as another may serve.
const avoidance = time.Second

// instances are those of the service, of which one is used until it cannot serve.
type instances struct {
	mu      sync.Mutex
	bases   []string
	avoided []time.Time // until when; guarded by mu
	current int         // guarded by mu
}

func newInstances(bases []string) *instances {
	return &instances{bases: bases, avoided: make([]time.Time, len(bases))}
}

// next returns the instance to use: the current one, or the first after it that is not avoided. If all are, it is the one after it.
func (s *instances) next(now time.Time) (index int, base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.bases {
		if !now.Before(s.avoided[s.current]) {
			return s.current, s.bases[s.current]
		}
		s.current = (s.current + 1) % len(s.bases)
	}
	s.current = (s.current + 1) % len(s.bases)
	return s.current, s.bases[s.current]
}

// avoid leaves an instance alone for a while.
func (s *instances) avoid(index int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.avoided[index] = now.Add(avoidance)
}

// served notes that an instance has served a request.
func (s *instances) served(index int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.avoided[index] = time.Time{}
}
