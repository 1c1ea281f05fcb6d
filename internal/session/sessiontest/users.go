package sessiontest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about a user's sessions.

// uniqueUser is a user of this case only: on a real cluster, all cases share one store. The name of every other one is as long as it may
// be: scripts read such a name in another way.
func uniqueUser() string {
	n := users.Add(1)
	name := fmt.Sprintf("user-%d", n+time.Now().UnixNano())
	if n%2 == 0 {
		name += strings.Repeat("-", session.MaxUserBytes-len(name))
	}
	return name
}

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
		some = append(some, r.createNext(session.New{User: user, Content: content(fmt.Sprintf(`{"n":%d}`, i), `"data"`)}))
	}
	return some
}

// createNext creates a session and waits, so that lists show the next one behind it.
func (r *run) createNext(n session.New) created {
	r.Helper()
	c := r.create(n)
	r.Advance(r.T, 2*time.Millisecond)
	return c
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

// createMany creates more sessions than one call of a script looks at.
func (r *run) createMany(user string, n int) []created {
	r.Helper()
	many := make([]created, n)
	together(n, func(i int) { many[i] = r.create(session.New{User: user}) })
	return many
}

func manyOfOneUser(r *run) {
	r.limited(0, false)
	user := uniqueUser()
	many := r.createMany(user, 250)
	seen := map[session.Handle]bool{}
	var cursor string
	for {
		page, next, err := r.Store.ListUser(r.ctx, nil, r.tenant, user, cursor, 120)
		if err != nil {
			r.Fatal(err)
		}
		if next != "" && len(page) != 120 {
			r.Errorf("a page that is not the last has %d sessions", len(page))
		}
		for _, s := range page {
			seen[s.Handle] = true
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(seen) != len(many) {
		r.Errorf("listed %d of %d sessions", len(seen), len(many))
	}
	spared := many[120]
	n, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, spared.Handle)
	if err != nil || n != len(many)-1 {
		r.Errorf("revoked %d, %v", n, err)
	}
	r.wantList(user, spared)
}

// racingRevokeAll rotates sessions and creates others while all are revoked. No session that was there when the call began,
// and none that a rotation made of it, is live when it has ended.
func racingRevokeAll(r *run) {
	r.limited(0, false)
	user := uniqueUser()
	before := r.createMany(user, 220)
	after := make([]session.Ref, len(before))
	var ended atomic.Bool
	together(2, func(i int) {
		if i == 0 {
			if _, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, session.Handle{}); err != nil {
				r.Error(err)
			}
			ended.Store(true)
			return
		}
		for i, s := range before {
			if _, next, err := r.Store.Rotate(r.ctx, nil, s.Ref, session.Rotation{Grace: time.Minute}, session.Write{}); err == nil {
				after[i] = next
			} else {
				r.wantErr(err, session.ErrNotFound)
			}
			if ended.Load() {
				break
			}
			r.create(session.New{User: user}) // may be revoked or spared
		}
	})
	for i, s := range before {
		r.wantGone(s.Ref)
		if after[i].ID() != "" {
			r.wantGone(after[i])
		}
	}
}
