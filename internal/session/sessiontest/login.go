package sessiontest

import (
	"errors"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about the login of an anonymous session.

func loginMoves(r *run) {
	user := uniqueUser()
	anonymous := r.create(session.New{Content: content(`{"m":1}`, `{"cart":[1]}`), TTL: session.TTL{Idle: time.Hour, Max: 2 * time.Hour}})
	in := r.rotate(anonymous.Ref, session.Rotation{User: user, Grace: session.DefaultGrace})
	got := r.get(in.Ref)
	if got.User != user || string(got.Meta) != `{"m":1}` || got.IdleTTL != time.Hour || got.MaxTTL() != 2*time.Hour {
		r.Fatalf("got %+v", got)
	}
	r.wantData(got, `{"cart":[1]}`)
	r.wantList(user, in)
	r.wantGone(anonymous.Ref) // no grace, and no reuse either
	r.get(in.Ref)
}

func racingLogins(r *run) {
	r.limited(2, true)
	user := uniqueUser()
	before := r.create(session.New{User: user}) // there is room for this and one more: no loser may evict it
	r.Advance(r.T, 2*time.Millisecond)
	anonymous := r.create(session.New{Content: data(`{"cart":[1]}`)})
	var mu sync.Mutex
	var winners []session.Ref
	together(200, func(i int) {
		_, next, err := r.store(i).Rotate(r.ctx, nil, anonymous.Ref, session.Rotation{User: user}, session.Write{})
		if err == nil {
			mu.Lock()
			winners = append(winners, next)
			mu.Unlock()
		} else if !errors.Is(err, session.ErrNotFound) {
			r.Errorf("login: %v", err)
		}
	})
	if len(winners) != 1 {
		r.Fatalf("%d logins succeeded", len(winners))
	}
	r.wantData(r.get(winners[0]), `{"cart":[1]}`)
	r.wantList(user, before, created{r.get(winners[0]), winners[0]})
}

func loginThroughOldID(r *run) {
	user := uniqueUser()
	first := r.create(session.New{Content: data(`1`)})
	second := r.rotate(first.Ref, session.Rotation{Grace: session.DefaultGrace})
	in := r.rotate(first.Ref, session.Rotation{User: user})
	if in.User != user {
		r.Fatalf("logged in as %q", in.User)
	}
	r.wantGone(second.Ref)
	r.wantData(r.get(in.Ref), `1`)
}

func loginOfAnother(r *run) {
	user := uniqueUser()
	s := r.create(session.New{User: user})
	_, _, err := r.Store.Rotate(r.ctx, nil, s.Ref, session.Rotation{User: uniqueUser()}, session.Write{})
	if _, ok := errors.AsType[*session.ContentError](err); !ok {
		r.Fatalf("got %v, want a ContentError", err)
	}
	r.wantList(user, s)
	r.wantList(user, r.rotate(s.Ref, session.Rotation{User: user}))
}
