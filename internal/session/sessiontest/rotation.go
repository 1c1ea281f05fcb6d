package sessiontest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about rotation and revocation, racing.

func content(meta, data string) session.Content {
	return session.Content{Meta: jsontext.Value(meta), Data: jsontext.Value(data)}
}

func (r *run) wantGone(ref session.Ref) {
	r.Helper()
	_, err := r.Store.Peek(r.ctx, nil, ref)
	r.wantErr(err, session.ErrNotFound)
}

func (r *run) rotate(ref session.Ref, rot session.Rotation) created {
	r.Helper()
	s, next, err := r.Store.Rotate(r.ctx, nil, ref, rot, session.Write{})
	if err != nil {
		r.Fatalf("rotate: %v", err)
	}
	return created{s, next}
}

func rotateCarries(r *run) {
	user := uniqueUser()
	old := r.create(session.New{User: user, Content: content(`{"m":1}`, `{"d":1.0}`), TTL: session.TTL{Idle: time.Hour, Max: 5 * time.Hour}})
	r.Advance(r.T, 5*time.Millisecond)
	next := r.rotate(old.Ref, session.Rotation{Grace: session.DefaultGrace})
	got := r.get(next.Ref)
	if next.Ref.ID() == old.Ref.ID() || got.User != user || string(got.Meta) != `{"m":1}` || got.Version != 2 {
		r.Fatalf("got %+v", got)
	}
	if got.IdleTTL != time.Hour || !got.ExpiresAt.Equal(old.ExpiresAt) || !got.CreatedAt.Equal(old.CreatedAt) {
		r.Fatalf("got idle %s, until %s, created %s, after %+v", got.IdleTTL, got.ExpiresAt, got.CreatedAt, old)
	}
	r.wantData(got, `{"d":1.0}`)
	r.wantData(next.Session, `{"d":1.0}`)
	r.wantList(user, next)

	_, _, err := r.Store.Rotate(r.ctx, nil, next.Ref, session.Rotation{}, session.Write{Guard: at(old)})
	r.wantErr(err, session.ErrConflict)
	_, _, err = r.Store.Rotate(r.ctx, nil, r.tenant.NewRef(""), session.Rotation{}, session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, _, err = r.Store.Rotate(r.ctx, nil, next.Ref, session.Rotation{Grace: time.Hour}, session.Write{})
	if _, ok := errors.AsType[*session.TTLError](err); !ok {
		r.Fatalf("a grace of an hour: got %v", err)
	}
}

func oldIDFollows(r *run) {
	first := r.create(session.New{Content: data(`{}`)})
	second := r.rotate(first.Ref, session.Rotation{Grace: session.DefaultGrace})
	third := r.rotate(second.Ref, session.Rotation{Grace: session.DefaultGrace})
	if got := r.get(first.Ref); got.Handle != third.Handle {
		r.Fatalf("the first ID leads to %s, want %s", got.Handle, third.Handle)
	}
	if _, err := r.Store.Replace(r.ctx, nil, first.Ref, data(`{"a":1}`), session.TTL{}, session.Write{}); err != nil {
		r.Fatal(err)
	}
	if _, err := r.Store.Patch(r.ctx, nil, first.Ref, session.Patch(data(`{"b":2}`)), session.Write{}); err != nil {
		r.Fatal(err)
	}
	if _, err := r.Store.Touch(r.ctx, nil, second.Ref, session.TTL{}, session.Guard{}); err != nil {
		r.Fatal(err)
	}
	r.wantData(r.get(third.Ref), `{"a":1,"b":2}`)
	if again := r.rotate(first.Ref, session.Rotation{Grace: session.DefaultGrace}); again.Ref != third.Ref {
		r.Fatalf("a late rotation gets %s, want %s", again.Ref, third.Ref)
	}
	if err := r.Store.Delete(r.ctx, nil, first.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	r.wantGone(third.Ref)
}

func racingRotations(r *run) {
	for range races {
		r.raceRotations()
	}
}

func (r *run) raceRotations() {
	old := r.create(session.New{Content: data(`{"keep":1}`)})
	var mu sync.Mutex
	successors := map[string]session.Ref{}
	together(200, func(i int) {
		_, next, err := r.store(i).Rotate(r.ctx, nil, old.Ref, session.Rotation{Grace: session.DefaultGrace}, session.Write{})
		if err != nil {
			r.Errorf("rotate: %v", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		successors[next.ID()] = next
	})
	if len(successors) != 1 {
		r.Fatalf("%d successors", len(successors))
	}
	for _, next := range successors {
		r.wantData(r.get(next), `{"keep":1}`)
	}
}

// racingChain rotates the first ID of a chain while others rotate what they got. Nobody may fail.
func racingChain(r *run) {
	for range races {
		first := r.create(session.New{})
		var mu sync.Mutex
		got := []session.Ref{first.Ref}
		together(200, func(i int) {
			mu.Lock()
			ref := got[0]
			if i%2 == 1 {
				ref = got[len(got)-1]
			}
			mu.Unlock()
			_, next, err := r.store(i/2).Rotate(r.ctx, nil, ref, session.Rotation{Grace: session.DefaultGrace}, session.Write{})
			if err != nil {
				r.Errorf("rotate: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, next)
		})
		end := r.get(first.Ref).Handle
		for _, ref := range got {
			if r.get(ref).Handle != end {
				r.Errorf("%s leads to another end than %s", ref, end)
			}
		}
	}
}

// racingRevocation revokes a user's sessions amid writes of every other kind.
func racingRevocation(r *run) {
	for round := range races {
		user := uniqueUser()
		s := r.create(session.New{User: user, Content: data(`{}`)})
		revoked := make(chan struct{})
		var late atomic.Int32
		together(200, func(i int) {
			if i == 100 {
				defer close(revoked)
				if _, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, session.Handle{}); err != nil {
					r.Errorf("revoke: %v", err)
				}
				return
			}
			isLate := false
			select {
			case <-revoked:
				isLate = true
			default:
			}
			var err error
			switch i % 5 {
			case 0:
				_, err = r.store(i).Replace(r.ctx, nil, s.Ref, data(fmt.Sprint(i)), session.TTL{}, session.Write{})
			case 1:
				_, err = r.store(i).Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":1}`)), session.Write{})
			case 2:
				_, err = r.store(i).Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{})
			case 3:
				_, err = r.store(i).Create(r.ctx, nil, s.Ref, session.New{User: user}, "")
			case 4:
				_, _, err = r.store(i).Rotate(r.ctx, nil, s.Ref, session.Rotation{Grace: session.DefaultGrace}, session.Write{})
			}
			if err == nil && isLate {
				late.Add(1)
			}
		})
		if n := late.Load(); n > 0 {
			r.Errorf("round %d: %d writes succeeded after the revocation", round, n)
		}
		r.wantGone(s.Ref)
		r.wantList(user)
	}
}

// A user may still see a list from before a rotation. The handles in it must find the session.
func staleHandles(r *run) {
	user := uniqueUser()
	a, b := r.create(session.New{User: user}), r.create(session.New{User: user})
	a2 := r.rotate(r.rotate(a.Ref, session.Rotation{Grace: session.DefaultGrace}).Ref, session.Rotation{Grace: session.DefaultGrace})
	if n, err := r.Store.RevokeUser(r.ctx, nil, r.tenant, user, a.Handle); err != nil || n != 1 {
		r.Fatalf("revoked %d, %v", n, err)
	}
	r.wantList(user, a2)
	r.wantGone(b.Ref)
	if err := r.Store.RevokeHandle(r.ctx, nil, uniqueUser(), a.Handle); err != nil {
		r.Fatal(err)
	}
	r.wantList(user, a2)
	if err := r.Store.RevokeHandle(r.ctx, nil, user, a.Handle); err != nil {
		r.Fatal(err)
	}
	r.wantList(user)
	r.wantGone(a2.Ref)
}

// rotationKeepsWrites writes while the session is rotated or logged in. Every acknowledged write must be in the result.
func rotationKeepsWrites(r *run) {
	for _, user := range []string{"", uniqueUser()} {
		s := r.create(session.New{Content: data(`{}`)})
		var mu sync.Mutex
		var written []string
		var end session.Ref
		together(200, func(i int) {
			if i == 20 {
				_, next, err := r.store(1).Rotate(r.ctx, nil, s.Ref, session.Rotation{User: user, Grace: session.DefaultGrace}, session.Write{})
				if err != nil {
					r.Errorf("rotate: %v", err)
				}
				end = next
				return
			}
			_, err := r.store(i).Patch(r.ctx, nil, s.Ref, session.Patch(data(fmt.Sprintf(`{"m%03d":1}`, i))), session.Write{})
			switch {
			case err == nil:
				mu.Lock()
				written = append(written, fmt.Sprintf(`"m%03d":1`, i))
				mu.Unlock()
			case user == "" || !errors.Is(err, session.ErrNotFound):
				r.Errorf("patch: %v", err)
			}
		})
		got := r.get(end)
		for _, member := range written {
			if !strings.Contains(string(got.Data), member) {
				r.Errorf("user %q: %s was acknowledged and is lost", user, member)
			}
		}
	}
}

func rotatedIsTaken(r *run) {
	old := r.create(session.New{})
	next := r.rotate(old.Ref, session.Rotation{Grace: session.DefaultGrace})
	if err := r.Store.Delete(r.ctx, nil, next.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	_, err := r.Store.Create(r.ctx, nil, old.Ref, session.New{}, "")
	r.wantErr(err, session.ErrRevoked)
}

func guardedLateRotation(r *run) {
	first := r.create(session.New{})
	second := r.rotate(first.Ref, session.Rotation{Grace: session.DefaultGrace})
	rot := session.Rotation{Grace: session.DefaultGrace}
	_, _, err := r.Store.Rotate(r.ctx, nil, first.Ref, rot, guarded(first))
	r.wantErr(err, session.ErrConflict)
	if _, next, err := r.Store.Rotate(r.ctx, nil, first.Ref, rot, guarded(second)); err != nil || next != second.Ref {
		r.Fatalf("got %s, %v, want %s", next, err, second.Ref)
	}
}

func forgetRotated(r *run) {
	for name, prepare := range map[string]func(next created){
		"within the grace": func(created) {},
		"after its grace": func(next created) {
			r.get(next.Ref)
			r.Advance(r.T, 100*time.Millisecond)
		},
		"after the session": func(next created) {
			if err := r.Store.Delete(r.ctx, nil, next.Ref, session.Deletion{}); err != nil {
				r.Fatal(err)
			}
		},
	} {
		grace := session.DefaultGrace
		if name == "after its grace" {
			grace = 50 * time.Millisecond
		}
		ref := r.ownRef()
		if _, err := r.Store.Create(r.ctx, nil, ref, session.New{}, ""); err != nil {
			r.Fatal(err)
		}
		next := r.rotate(ref, session.Rotation{Grace: grace})
		prepare(next)
		for range 2 {
			if err := r.Store.Delete(r.ctx, nil, ref, session.Deletion{Forget: true}); err != nil {
				r.Fatalf("%s: %v", name, err)
			}
		}
		r.wantGone(next.Ref)
		if _, err := r.Store.Create(r.ctx, nil, ref, session.New{}, ""); err != nil {
			r.Errorf("%s: %v", name, err)
		}
	}
}
