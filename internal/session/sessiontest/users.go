package sessiontest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about a user's sessions.

// uniqueUser is a user of this case only: on a real cluster, all cases share one store.
func uniqueUser() string { return fmt.Sprintf("user-%d", users.Add(1)+time.Now().UnixNano()) }

var users atomic.Int64

func (r *run) list(user string) []session.Session {
	r.Helper()
	var all []session.Session
	for cursor := ""; ; {
		page, next, err := r.Store.ListUser(r.ctx, nil, r.tenant, user, cursor, 3)
		if err != nil {
			r.Fatalf("list: %v", err)
		}
		if len(page) > 3 {
			r.Fatalf("a page of 3 holds %d", len(page))
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		cursor = next
	}
}

// wantList checks a user's list, by handles.
func (r *run) wantList(user string, want ...created) {
	r.Helper()
	var got, wanted []string
	for _, s := range r.list(user) {
		got = append(got, s.Handle.String())
	}
	for _, c := range want {
		wanted = append(wanted, c.Handle.String())
	}
	if !slices.Equal(got, wanted) {
		r.Fatalf("the list holds %v, want %v", got, wanted)
	}
}

// createSome creates sessions of a user, a moment apart, so that their order is known.
func (r *run) createSome(user string, n int) []created {
	r.Helper()
	var some []created
	for i := range n {
		some = append(some, r.create(session.New{User: user, Content: content(fmt.Sprintf(`{"n":%d}`, i), `"data"`)}))
		r.Advance(r.T, 2*time.Millisecond)
	}
	return some
}

func userList(r *run) {
	user := uniqueUser()
	some := r.createSome(user, 7)
	r.wantList(user, some...)
	for i, s := range r.list(user) {
		if s.Data != nil || string(s.Meta) != fmt.Sprintf(`{"n":%d}`, i) || s.User != user || s.Version != 1 {
			r.Errorf("listed %+v", s)
		}
	}
	r.wantList(uniqueUser())
	_, _, err := r.Store.ListUser(r.ctx, nil, r.tenant, user, "nonsense", 3)
	r.wantErr(err, session.ErrBadCursor)
}

func userListIsOwn(r *run) {
	alice, bob := uniqueUser(), uniqueUser()
	own := r.createSome(alice, 4)
	r.createSome(bob, 2)
	r.create(session.New{})
	r.wantList(alice, own...)
	_, next, err := r.Store.ListUser(r.ctx, nil, r.tenant, alice, "", 1)
	if err != nil {
		r.Fatal(err)
	}
	_, _, err = r.Store.ListUser(r.ctx, nil, r.tenant, bob, next, 1)
	r.wantErr(err, session.ErrBadCursor)
	page, _, err := r.Store.ListUser(r.ctx, nil, Tenant(r, "other"), alice, "", 10)
	if err != nil || len(page) > 0 {
		r.Fatalf("another tenant lists %v, %v", page, err)
	}
}

func deadLeaveList(r *run) {
	user := uniqueUser()
	short := session.TTL{Idle: 100 * time.Millisecond, Max: 100 * time.Millisecond}
	first := r.create(session.New{User: user, TTL: session.TTL{Idle: time.Hour}})
	r.create(session.New{User: user, TTL: short})
	r.create(session.New{User: user, TTL: short})
	r.Advance(r.T, 150*time.Millisecond)
	last := r.create(session.New{User: user})
	r.wantList(user, first, last)
	if err := r.Store.Delete(r.ctx, nil, first.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	r.wantList(user, last)
	if err := r.Store.Delete(r.ctx, nil, last.Ref, session.Deletion{Forget: true}); err != nil {
		r.Fatal(err)
	}
	r.wantList(user)
}

// livingStayInList prolongs sessions in every way that there is. The index must not end before them.
func livingStayInList(r *run) {
	short := session.TTL{Idle: 2 * time.Second, Max: 3 * time.Second}
	for name, live := range map[string]func(created) created{
		"touch": func(c created) created {
			_, err := r.Store.Touch(r.ctx, nil, c.Ref, session.TTL{Idle: time.Hour}, session.Guard{})
			r.wantErr(err, nil)
			return c
		},
		"replace": func(c created) created {
			_, err := r.Store.Replace(r.ctx, nil, c.Ref, data(`1`), session.TTL{Max: time.Hour, Idle: time.Hour}, session.Write{})
			r.wantErr(err, nil)
			return c
		},
		"slides and a rotation": func(c created) created {
			for range 2 {
				_, err := r.Store.Touch(r.ctx, nil, c.Ref, session.TTL{Max: time.Hour}, session.Guard{})
				r.wantErr(err, nil)
				r.Advance(r.T, time.Second)
			}
			_, err := r.Store.Patch(r.ctx, nil, c.Ref, session.Patch(data(`{}`)), session.Write{})
			r.wantErr(err, nil)
			r.Advance(r.T, time.Second)
			c = r.rotate(c.Ref, session.Rotation{})
			_, err = r.Store.Touch(r.ctx, nil, c.Ref, session.TTL{Idle: time.Hour}, session.Guard{})
			r.wantErr(err, nil)
			return c
		},
		"a login": func(c created) created {
			anonymous := r.create(session.New{TTL: session.TTL{Idle: time.Hour}})
			if err := r.Store.Delete(r.ctx, nil, c.Ref, session.Deletion{}); err != nil {
				r.Fatal(err)
			}
			return r.rotate(anonymous.Ref, session.Rotation{User: c.User})
		},
	} {
		user := uniqueUser()
		c := live(r.create(session.New{User: user, TTL: short}))
		r.Advance(r.T, 3500*time.Millisecond)
		if got := r.list(user); len(got) != 1 || got[0].Handle != c.Handle {
			r.Errorf("%s: the list holds %v", name, got)
		}
		if n, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, session.Handle{}); err != nil || n != 1 {
			r.Errorf("%s: revoked %d, %v", name, n, err)
		}
	}
}

func revokeByHandle(r *run) {
	user := uniqueUser()
	some := r.createSome(user, 3)
	other, anonymous := r.create(session.New{User: uniqueUser()}), r.create(session.New{})
	for _, h := range []session.Handle{some[0].Handle, anonymous.Handle} {
		if err := r.Store.RevokeHandle(r.ctx, nil, "", h); err != nil { // nobody has no sessions
			r.Fatal(err)
		}
	}
	r.get(anonymous.Ref)
	for range 2 {
		if err := r.Store.RevokeHandle(r.ctx, nil, user, some[1].Handle); err != nil {
			r.Fatal(err)
		}
	}
	if err := r.Store.RevokeHandle(r.ctx, nil, user, other.Handle); err != nil {
		r.Fatal(err)
	}
	r.wantList(user, some[0], some[2])
	r.wantGone(some[1].Ref)
	r.get(other.Ref)
}

func revokeAll(r *run) {
	user := uniqueUser()
	some := r.createSome(user, 5)
	n, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, some[3].Handle)
	if err != nil || n != 4 {
		r.Fatalf("revoked %d, %v", n, err)
	}
	r.wantList(user, some[3])
	r.wantGone(some[0].Ref)
	if n, err = r.Store.RevokeUser(r.ctx, nil, r.tenant, user, session.Handle{}); err != nil || n != 1 {
		r.Fatalf("revoked %d, %v", n, err)
	}
	r.wantList(user)
	_, err = r.Store.Create(r.ctx, nil, some[0].Ref, session.New{User: user}, "")
	r.wantErr(err, session.ErrRevoked)
}

func revokeAllButAnothers(r *run) {
	user, other := uniqueUser(), r.create(session.New{User: uniqueUser()})
	some := r.createSome(user, 3)
	anonymous, gone := r.create(session.New{}), some[0]
	if err := r.Store.Delete(r.ctx, nil, gone.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	never, nobodys := r.tenant.NewRef(user), r.tenant.NewRef(user) // in the user's slot
	if _, err := r.Store.Create(r.ctx, nil, nobodys, session.New{}, ""); err != nil {
		r.Fatal(err)
	}
	for _, h := range []session.Handle{other.Handle, anonymous.Handle, gone.Handle, never.Handle, nobodys.Handle} {
		_, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, h)
		r.wantErr(err, session.ErrNotFound)
	}
	r.wantList(user, some[1:]...)
	r.get(other.Ref)
}

func (r *run) limited(n int, evict bool) {
	r.Helper()
	policy := Policy
	policy.MaxPerUser, policy.EvictOldest = n, evict
	tenant, err := session.NewTenant("acme", policy)
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
