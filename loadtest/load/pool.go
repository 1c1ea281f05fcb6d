package load

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// triesForSeat bounds how often a key is drawn again because its session has a write in flight.
	triesForSeat = 32
	// maxRetired bounds how many deleted sessions and old IDs are kept to be read again.
	maxRetired = 4096
)

// A seat holds one of the load's sessions, or none. Its user never changes, so that no user gets more sessions than planned.
type seat struct {
	id   string // "" is an empty seat
	etag string // of the last acknowledged write; "" if it is not known, as after an unknown outcome
	user string
	busy bool // a write is in flight: a session has one writer at a time
	// turnBy is set after a rotation of unknown outcome. The next write must be a rotation, which has the same successor.
	// After this time the ID must not be used.
	turnBy time.Time
}

// A pool holds the sessions in use. Only the dispatcher draws keys. Requests return their seats.
type pool struct {
	byUser map[string][]int // seats; never changes

	mu      sync.Mutex
	seats   []seat
	vacant  []int // empty seats that no write is filling
	retired []retired
	forget  func(id string)
}

// A retired ID is read again to check that it stays dead or, before until, that it still works.
type retired struct {
	id    string
	until time.Time // zero: forever
}

func newPool(cfg Config, users []string) *pool {
	p := &pool{byUser: map[string][]int{}, seats: make([]seat, cfg.Sessions), forget: cfg.Ledger.Forget}
	for i := range p.seats {
		p.vacant = append(p.vacant, i)
		if u := i / cfg.SessionsPerUser; u < len(users) {
			p.seats[i].user = users[u]
			p.byUser[users[u]] = append(p.byUser[users[u]], i)
		}
	}
	return p
}

// take finds a seat for a write, marks it busy, and returns a copy.
func (p *pool) take(draw func() int) (int, seat, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range triesForSeat {
		i := draw()
		if s := &p.seats[i]; s.id != "" && !s.busy {
			s.busy = true
			return i, *s, true
		}
	}
	return 0, seat{}, false
}

// vacate finds a seat for a new session: an empty one, or that of a session without a user. The load then no longer uses
// that session, but the sweep still reads it.
func (p *pool) vacate(draw func() int) (int, seat, bool) {
	if i, s, ok := p.empty(); ok {
		return i, s, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for range triesForSeat {
		i := draw()
		if s := &p.seats[i]; s.id != "" && s.user == "" && !s.busy && s.turnBy.IsZero() {
			*s = seat{busy: true}
			return i, *s, true
		}
	}
	return 0, seat{}, false
}

// empty takes an empty seat.
func (p *pool) empty() (int, seat, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.vacant) - 1
	if last < 0 {
		return 0, seat{}, false
	}
	i := p.vacant[last]
	p.vacant = p.vacant[:last]
	p.seats[i].busy = true
	return i, p.seats[i], true
}

// look finds a session for a read.
func (p *pool) look(draw func() int, now time.Time) (int, seat, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range triesForSeat {
		i := draw()
		if s := p.seats[i]; s.id != "" && (s.turnBy.IsZero() || now.Before(s.turnBy)) {
			return i, s, true
		}
	}
	return 0, seat{}, false
}

// settled returns the IDs of a user's sessions that have no write in flight and whose every ID is known.
func (p *pool) settled(user string) map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := map[string]bool{}
	for _, i := range p.byUser[user] {
		if s := p.seats[i]; s.id != "" && !s.busy && s.turnBy.IsZero() {
			ids[s.id] = true
		}
	}
	return ids
}

// put returns a seat after a write, with its new content.
func (p *pool) put(i int, s seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.busy, s.user = false, p.seats[i].user
	p.seats[i] = s
	if s.id == "" {
		p.seats[i] = seat{user: s.user}
		p.vacant = append(p.vacant, i)
	}
}

// gone empties the seat of a session that a read did not find, unless a write is in flight or the seat has changed.
func (p *pool) gone(i int, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.seats[i]; s.id == id && !s.busy {
		p.seats[i] = seat{user: s.user}
		p.vacant = append(p.vacant, i)
	}
}

// retire keeps an ID to be read again.
func (p *pool) retire(id string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.retired) < maxRetired {
		p.retired = append(p.retired, retired{id, until})
		return
	}
	i := rand.IntN(len(p.retired))
	p.forget(p.retired[i].id)
	p.retired[i] = retired{id, until}
}

// revisit draws a retired ID.
func (p *pool) revisit(r *rand.Rand, now time.Time) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.retired) > 0 {
		i := r.IntN(len(p.retired))
		it := p.retired[i]
		if it.until.IsZero() || now.Before(it.until) {
			return it.id, true
		}
		p.forget(it.id)
		p.retired[i] = p.retired[len(p.retired)-1]
		p.retired = p.retired[:len(p.retired)-1]
	}
	return "", false
}

// live returns the number of seats that hold a session.
func (p *pool) live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.seats {
		if s.id != "" {
			n++
		}
	}
	return n
}
