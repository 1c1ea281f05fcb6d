package sessiontest

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The limit on a user's sessions.

func (r *run) limited(n int, evict bool) {
	r.Helper()
	policy := Policy
	policy.MaxPerUser, policy.EvictOldest = n, evict
	tenant, err := session.NewTenant("acme", policy, nil)
	if err != nil {
		r.Fatal(err)
	}
	r.tenant = tenant
}

func limitDenies(r *run) {
	r.limited(3, false)
	user := uniqueUser()
	some := r.createSome(user, 3)
	_, err := r.Store.Create(r.ctx, nil, r.tenant.NewRef(user), session.New{User: user}, "")
	r.wantErr(err, session.ErrLimit)
	r.wantList(user, some...)
	if err := r.Store.Delete(r.ctx, nil, some[0].Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	r.wantList(user, some[1], some[2], r.create(session.New{User: user}))
}

func limitEvicts(r *run) {
	r.limited(3, true)
	user := uniqueUser()
	some := r.createSome(user, 5)
	r.wantList(user, some[2:]...)
	r.wantGone(some[0].Ref)
	r.wantGone(some[1].Ref)
}

func racingLimit(r *run) {
	for round := range 2 * races {
		evict := round%2 == 1
		r.limited(5, evict)
		user := uniqueUser()
		var made atomic.Int32
		together(200, func(i int) {
			_, err := r.store(i).Create(r.ctx, nil, r.tenant.NewRef(user), session.New{User: user}, "")
			switch {
			case err == nil:
				made.Add(1)
			case evict || !errors.Is(err, session.ErrLimit):
				r.Errorf("create: %v", err)
			}
		})
		if n := len(r.list(user)); n != 5 {
			r.Errorf("evict %t: the user has %d sessions", evict, n)
		}
		if n := made.Load(); !evict && n != 5 || evict && n != 200 {
			r.Errorf("evict %t: %d creates succeeded", evict, n)
		}
	}
}

// limitForgetsEnded fills a user's sessions up to the limit, in two rounds, of which the second finds the ends of the sessions
// noted. Those in the middle end by themselves, one of them earlier than it was to when it was noted.
func limitForgetsEnded(r *run) {
	for _, evict := range []bool{false, true} {
		r.limited(4, evict)
		user, idle := uniqueUser(), 200*time.Millisecond
		first := r.createNext(session.New{User: user})
		r.createNext(session.New{User: user, TTL: session.TTL{Idle: idle}})
		third := r.createNext(session.New{User: user})
		fourth := r.createNext(session.New{User: user})
		r.Advance(r.T, idle+50*time.Millisecond)
		fifth := r.createNext(session.New{User: user}) // looks at all, and notes their ends
		r.wantList(user, first, third, fourth, fifth)

		if _, err := r.Store.Touch(r.ctx, nil, third.Ref, session.TTL{Idle: idle}, session.Guard{}); err != nil {
			r.Fatal(err)
		}
		r.Advance(r.T, idle+50*time.Millisecond)
		sixth := r.createNext(session.New{User: user})
		r.wantList(user, first, fourth, fifth, sixth)
	}
}

// limitKeepsUsed has a session live on after the end that was noted for it. It counts as long as it lives.
func limitKeepsUsed(r *run) {
	r.limited(2, false)
	user, idle := uniqueUser(), 2*time.Second
	used := r.createNext(session.New{User: user, TTL: session.TTL{Idle: idle}})
	other := r.createNext(session.New{User: user})
	for range 3 {
		_, err := r.Store.Create(r.ctx, nil, r.tenant.NewRef(user), session.New{User: user}, "")
		r.wantErr(err, session.ErrLimit)
		r.Advance(r.T, idle/2)
		if _, err := r.Store.Touch(r.ctx, nil, used.Ref, session.TTL{}, session.Guard{}); err != nil {
			r.Fatal(err)
		}
	}
	r.wantList(user, used, other)
	r.Advance(r.T, idle+50*time.Millisecond)
	r.wantList(user, other, r.createNext(session.New{User: user}))
}

// limitWasLowered leaves a user with more sessions than one create makes room from.
func limitWasLowered(r *run) {
	user := uniqueUser()
	r.limited(0, true)
	r.createMany(user, 130)
	r.limited(3, true)
	for range 2 {
		r.create(session.New{User: user})
	}
	if n := len(r.list(user)); n != 3 {
		r.Errorf("the user has %d sessions", n)
	}
}
