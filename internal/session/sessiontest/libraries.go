package sessiontest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about what session libraries need, batches and walks.

// ownRef is an ID that a caller chose.
func (r *run) ownRef() session.Ref {
	r.Helper()
	ref, err := r.tenant.ParseRef("library." + rand.Text())
	if err != nil {
		r.Fatal(err)
	}
	return ref
}

func readSlides(r *run) {
	s := r.create(session.New{TTL: session.TTL{Idle: 10 * time.Second}})
	r.Advance(r.T, time.Second)
	for range 2 {
		if got := r.get(s.Ref); !got.TouchedAt.Equal(s.TouchedAt) {
			r.Fatalf("a peek slid to %s", got.TouchedAt)
		}
	}
	if got, err := r.Store.Get(r.ctx, nil, s.Ref); err != nil || !got.TouchedAt.Equal(s.TouchedAt) {
		r.Fatalf("a read waited for its touch: %s, %v", got.TouchedAt, err)
	}
	for tick := time.Tick(time.Millisecond); ; <-tick {
		got, err := r.Store.Peek(r.ctx, nil, s.Ref)
		if err != nil {
			r.Fatal(err)
		}
		if got.TouchedAt.After(s.TouchedAt) {
			return
		}
	}
}

func upsertSaves(r *run) {
	r.upsertSaves(r.ownRef())
	r.upsertSaves(r.tenant.NewRef("")) // a caller's own ID may look like an issued one
}

func (r *run) upsertSaves(ref session.Ref) {
	r.Helper()
	for v := uint64(1); v < 4; v++ {
		got, err := r.Store.Upsert(r.ctx, nil, ref, data(fmt.Sprint(v)), session.TTL{Idle: time.Minute}, session.Write{})
		if err != nil || got.Version != v || got.IdleTTL != time.Minute {
			r.Fatalf("got %+v, %v", got, err)
		}
		r.wantData(r.get(ref), fmt.Sprint(v))
	}
}

func upsertRefuses(r *run) {
	ref := r.ownRef()
	_, err := r.Store.Upsert(r.ctx, nil, ref, data(`1`), session.TTL{}, session.Write{Guard: session.Guard{Set: true}})
	r.wantErr(err, session.ErrNotFound)
	exists := session.Write{Guard: session.Guard{Exists: true}}
	_, err = r.Store.Upsert(r.ctx, nil, ref, data(`1`), session.TTL{}, exists)
	r.wantErr(err, session.ErrNotFound)
	saved, err := r.Store.Upsert(r.ctx, nil, ref, data(`1`), session.TTL{}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Upsert(r.ctx, nil, ref, data(`2`), session.TTL{}, session.Write{Guard: session.Guard{Set: true}})
	r.wantErr(err, session.ErrConflict)
	for _, w := range []session.Write{guarded(saved), exists} {
		if _, err := r.Store.Upsert(r.ctx, nil, ref, data(`2`), session.TTL{}, w); err != nil {
			r.Fatal(err)
		}
	}
	if _, err := r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`2`)), exists); err != nil {
		r.Fatal(err)
	}
	if err := r.Store.Delete(r.ctx, nil, ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Upsert(r.ctx, nil, ref, data(`3`), session.TTL{}, session.Write{})
	r.wantErr(err, session.ErrRevoked)
}

func deleteForgets(r *run) {
	s := r.create(session.New{})
	if err := r.Store.Delete(r.ctx, nil, s.Ref, session.Deletion{Forget: true}); err != nil {
		r.Fatal(err)
	}
	r.wantGone(s.Ref)
	r.Advance(r.T, time.Millisecond) // two lives begin at different microseconds
	again, err := r.Store.Create(r.ctx, nil, s.Ref, session.New{}, "")
	if err != nil {
		r.Fatal(err)
	}
	if again.Stamp() == s.Stamp() {
		r.Fatal("two lives have the same stamp")
	}
}

func batches(r *run) {
	var refs []session.Ref
	for i := range 20 {
		switch s := r.create(session.New{Content: data(fmt.Sprint(i))}); i % 4 {
		case 0:
			refs = append(refs, r.tenant.NewRef("")) // never created
		case 1:
			r.rotate(s.Ref, session.Rotation{Grace: session.DefaultGrace})
			fallthrough
		default:
			refs = append(refs, s.Ref)
		}
	}
	for i, got := range r.Store.GetMany(r.ctx, nil, refs) {
		if i%4 == 0 {
			r.wantErr(got.Err, session.ErrNotFound)
			continue
		}
		if got.Err != nil {
			r.Fatalf("%d: %v", i, got.Err)
		}
		r.wantData(got.Session, fmt.Sprint(i))
	}
	for i, err := range r.Store.DeleteMany(r.ctx, nil, refs) {
		if err != nil {
			r.Errorf("%d: %v", i, err)
		}
	}
	for _, ref := range refs {
		r.wantGone(ref)
	}
}

func walk(r *run) {
	r.tenant = Tenant(r, fmt.Sprintf("walk-%d", time.Now().UnixNano()))
	want := map[string]bool{}
	for range 40 {
		want[r.create(session.New{}).Handle.String()] = true
	}
	gone := r.create(session.New{})
	if err := r.Store.Delete(r.ctx, nil, gone.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	got := map[string]bool{}
	for cursor := ""; ; {
		page, next, err := r.Store.Walk(r.ctx, nil, r.tenant, cursor, 7)
		if err != nil {
			r.Fatal(err)
		}
		for _, h := range page {
			got[h.String()] = true
			if !want[h.String()] {
				r.Errorf("the walk lists %s", h)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(got) != len(want) {
		r.Errorf("the walk lists %d of %d sessions", len(got), len(want))
	}
	_, _, err := r.Store.Walk(r.ctx, nil, r.tenant, "nonsense", 7)
	r.wantErr(err, session.ErrBadCursor)
}

// locks shows that the operations suffice for a lock: create if absent with a TTL, and refresh and release by its holder
// only.
func locks(r *run) {
	ref := r.ownRef()
	var holders, held atomic.Int32
	together(200, func(i int) {
		lock, err := r.Store.Create(r.ctx, nil, ref, session.New{TTL: session.TTL{Idle: 10 * time.Second, Max: 10 * time.Second}}, "")
		if errors.Is(err, session.ErrExists) {
			return
		}
		if err != nil {
			r.Errorf("acquire: %v", err)
			return
		}
		if n := holders.Add(1); n != 1 {
			r.Errorf("%d holders", n)
		}
		held.Add(1)
		if _, err := r.Store.Touch(r.ctx, nil, ref, session.TTL{}, at(lock)); err != nil {
			r.Errorf("refresh: %v", err)
		}
		holders.Add(-1)
		r.Advance(r.T, time.Millisecond) // the next holder's life begins at another microsecond
		release := session.Deletion{Write: guarded(lock), Forget: true}
		if err := r.Store.Delete(r.ctx, nil, ref, release); err != nil {
			r.Errorf("release: %v", err)
		}
		// The lock is somebody else's or nobody's now: it can be neither refreshed nor released any more.
		if _, err := r.Store.Touch(r.ctx, nil, ref, session.TTL{}, at(lock)); err == nil {
			r.Error("a released lock was refreshed")
		}
		if err := r.Store.Delete(r.ctx, nil, ref, release); err != nil && !errors.Is(err, session.ErrConflict) {
			r.Errorf("a second release: %v", err)
		}
	})
	if held.Load() == 0 {
		r.Error("nobody got the lock")
	}
}
