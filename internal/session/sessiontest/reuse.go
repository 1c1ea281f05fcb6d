package sessiontest

import (
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about IDs from before a rotation that are used after its grace.

func reuseRevokes(r *run) {
	user := uniqueUser()
	first := r.create(session.New{User: user})
	second := r.rotate(first.Ref, session.Rotation{Grace: 50 * time.Millisecond})
	third := r.rotate(second.Ref, session.Rotation{Grace: session.DefaultGrace})
	r.Advance(r.T, 100*time.Millisecond)
	r.get(third.Ref)
	r.wantGone(first.Ref)
	r.wantGone(second.Ref)
	r.wantGone(third.Ref)
	r.wantGone(first.Ref)
	r.wantList(user)
}

func rotateAtOnce(r *run) {
	old := r.create(session.New{Content: data(`1`)})
	next := r.rotate(old.Ref, session.Rotation{})
	r.wantGone(old.Ref)
	_, err := r.Store.Replace(r.ctx, nil, old.Ref, data(`2`), session.TTL{}, session.Write{})
	r.wantErr(err, session.ErrNotFound)
	r.wantData(r.get(next.Ref), `1`)
}

// The answer to a rotation may be lost. Then nobody has the new ID, and the late use of the old one is no theft.
func unusedSuccessor(r *run) {
	user := uniqueUser()
	first := r.create(session.New{User: user, Content: data(`{}`)})
	rot := session.Rotation{Grace: 50 * time.Millisecond}
	second := r.rotate(first.Ref, rot)
	if _, err := r.Store.Touch(r.ctx, nil, first.Ref, session.TTL{}, session.Guard{}); err != nil {
		r.Fatal(err)
	}
	r.Advance(r.T, 100*time.Millisecond)
	for range 2 { // none of these uses the new ID
		if got := r.get(first.Ref); got.Handle != second.Handle || got.IdleTTL != Policy.DefaultIdle {
			r.Fatalf("got %+v", got)
		}
		if _, err := r.Store.Get(r.ctx, nil, first.Ref); err != nil {
			r.Fatal(err)
		}
		if _, err := r.Store.Replace(r.ctx, nil, first.Ref, data(`{}`), session.TTL{Idle: Policy.DefaultIdle}, session.Write{}); err != nil {
			r.Fatal(err)
		}
		if _, err := r.Store.Patch(r.ctx, nil, first.Ref, session.Patch(data(`{"a":1}`)), session.Write{}); err != nil {
			r.Fatal(err)
		}
		if again := r.rotate(first.Ref, rot); again.Ref != second.Ref {
			r.Fatalf("rotated to %s, want %s", again.Ref, second.Ref)
		}
		if got := r.Store.GetMany(r.ctx, nil, []session.Ref{first.Ref})[0]; got.Err != nil {
			r.Fatal(got.Err)
		}
	}
	r.wantList(user, second)
	if in := r.rotate(r.rotate(r.create(session.New{}).Ref, rot).Ref, session.Rotation{User: user}); in.User != user {
		r.Fatalf("got %+v", in)
	}
}

func usedSuccessor(r *run) {
	for name, use := range map[string]func(session.Ref) error{
		"get":     func(ref session.Ref) error { _, err := r.Store.Get(r.ctx, nil, ref); return err },
		"peek":    func(ref session.Ref) error { _, err := r.Store.Peek(r.ctx, nil, ref); return err },
		"getMany": func(ref session.Ref) error { return r.Store.GetMany(r.ctx, nil, []session.Ref{ref})[0].Err },
		"replace": func(ref session.Ref) error {
			_, err := r.Store.Replace(r.ctx, nil, ref, data(`{}`), session.TTL{}, session.Write{})
			return err
		},
		"patch": func(ref session.Ref) error {
			_, err := r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{}`)), session.Write{})
			return err
		},
		"touch": func(ref session.Ref) error {
			_, err := r.Store.Touch(r.ctx, nil, ref, session.TTL{}, session.Guard{})
			return err
		},
		"rotate": func(ref session.Ref) error {
			_, _, err := r.Store.Rotate(r.ctx, nil, ref, session.Rotation{Grace: session.DefaultGrace}, session.Write{})
			return err
		},
	} {
		first := r.create(session.New{})
		second := r.rotate(first.Ref, session.Rotation{Grace: 50 * time.Millisecond})
		if err := use(second.Ref); err != nil {
			r.Fatalf("%s: %v", name, err)
		}
		r.Advance(r.T, 100*time.Millisecond)
		r.wantReuse(first.Ref)
		r.wantGone(second.Ref)
	}
}

// wantReuse uses an old ID until that is reuse: the use of the new one may have been noted in the background.
func (r *run) wantReuse(old session.Ref) {
	r.Helper()
	for tick := time.Tick(time.Millisecond); ; <-tick {
		if _, err := r.Store.Peek(r.ctx, nil, old); err != nil {
			r.wantErr(err, session.ErrNotFound)
			return
		}
	}
}

func reuseOverNoGrace(r *run) {
	for _, use := range []int{0, 1} {
		first := r.create(session.New{})
		second := r.rotate(first.Ref, session.Rotation{Grace: session.DefaultGrace})
		third := r.rotate(second.Ref, session.Rotation{})
		r.wantGone(second.Ref)
		if _, err := r.Store.Touch(r.ctx, nil, third.Ref, session.TTL{}, session.Guard{}); err != nil {
			r.Fatal(err)
		}
		r.wantGone([]created{first, second}[use].Ref)
		r.wantGone(third.Ref)
		_, err := r.Store.Create(r.ctx, nil, second.Ref, session.New{}, "")
		r.wantErr(err, session.ErrRevoked)
	}
	first := r.create(session.New{})
	third := r.rotate(r.rotate(first.Ref, session.Rotation{Grace: 50 * time.Millisecond}).Ref, session.Rotation{})
	if _, err := r.Store.Touch(r.ctx, nil, third.Ref, session.TTL{}, session.Guard{}); err != nil {
		r.Fatal(err)
	}
	r.Advance(r.T, 100*time.Millisecond)
	r.wantGone(first.Ref)
	r.wantGone(third.Ref)
}

func reuseAfterProlonging(r *run) {
	prolong := map[string]func(session.Ref, session.TTL) error{
		"touch": func(ref session.Ref, ttl session.TTL) error {
			_, err := r.Store.Touch(r.ctx, nil, ref, ttl, session.Guard{})
			return err
		},
		"replace": func(ref session.Ref, ttl session.TTL) error {
			_, err := r.Store.Replace(r.ctx, nil, ref, session.Content{}, ttl, session.Write{})
			return err
		},
	}
	for name, ttl := range map[string]session.TTL{"touch": {Idle: time.Hour, Max: 2 * time.Hour}, "replace": {Idle: time.Hour}} {
		first := r.create(session.New{TTL: session.TTL{Idle: 2 * time.Second, Max: 2 * time.Second}})
		rot := session.Rotation{Grace: 50 * time.Millisecond}
		second := r.rotate(first.Ref, rot)
		third := r.rotate(second.Ref, rot)
		if err := prolong[name](third.Ref, ttl); err != nil {
			r.Fatal(err)
		}
		r.Advance(r.T, 2500*time.Millisecond)
		old := first
		if name == "replace" {
			old = second
		}
		r.wantGone(old.Ref)
		r.wantGone(third.Ref)
	}
}
