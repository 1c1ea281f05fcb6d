package sessiontest

import (
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about the keys that callers give to their writes.

func keyOfAnotherBody(r *run) {
	wantReused := func(_ session.Session, err error) {
		r.Helper()
		r.wantErr(err, session.ErrKeyReused)
	}
	n := session.New{Content: content(`{"m":1}`, `1`), TTL: session.TTL{Idle: time.Minute}}
	ref := r.ownRef()
	first, err := r.Store.Create(r.ctx, nil, ref, n, "k")
	if err != nil {
		r.Fatal(err)
	}
	for _, other := range []session.New{
		{Content: content(`{"m":1}`, `2`), TTL: n.TTL}, {Content: content(`{"m":2}`, `1`), TTL: n.TTL},
		{Content: content("", `{"m":1}1`), TTL: n.TTL}, {Content: n.Content}, {Content: n.Content, TTL: session.TTL{Max: time.Minute}},
	} {
		wantReused(r.Store.Create(r.ctx, nil, ref, other, "k"))
		wantReused(r.Store.Upsert(r.ctx, nil, ref, other.Content, other.TTL, session.Write{Key: "k"}))
	}

	w := session.Write{Key: "k", Guard: at(first)}
	if _, err := r.Store.Replace(r.ctx, nil, ref, n.Content, session.TTL{}, w); err != nil {
		r.Fatal(err)
	}
	wantReused(r.Store.Replace(r.ctx, nil, ref, data(`2`), session.TTL{}, w))
	wantReused(r.Store.Replace(r.ctx, nil, ref, n.Content, session.TTL{Idle: time.Hour}, session.Write{Key: "k"}))
	for range 2 {
		if s, err := r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{"a":1}`)), session.Write{Key: "k"}); err != nil || s.Version != 3 {
			r.Fatalf("got %+v, %v", s, err)
		}
	}
	wantReused(r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{"a":2}`)), session.Write{Key: "k"}))
	wantReused(r.Store.Patch(r.ctx, nil, ref, session.Patch(content(`{"a":1}`, "")), session.Write{Key: "k"}))
	if got := r.get(ref); got.Version != 3 || string(got.Data) != `{"a":1}` {
		r.Fatalf("got %+v", got)
	}
	if err := r.Store.Delete(r.ctx, nil, ref, session.Deletion{Write: session.Write{Key: "k"}}); err != nil {
		r.Fatal(err)
	}
	r.wantGone(ref)
}

// A key names a write to one session: with another session it is another write, in the same slot too.
func keyOfTwoSessions(r *run) {
	user := uniqueUser()
	for _, forget := range []bool{true, false} {
		for range 2 {
			s := r.create(session.New{User: user})
			if err := r.Store.Delete(r.ctx, nil, s.Ref, session.Deletion{Write: session.Write{Key: "delete-1"}, Forget: forget}); err != nil {
				r.Fatal(err)
			}
			r.wantGone(s.Ref)
		}
	}
}

func writeKeys(r *run) {
	ref := r.tenant.NewRef("")
	for range 2 {
		if s, err := r.Store.Create(r.ctx, nil, ref, session.New{Content: data(`{}`)}, "create-1"); err != nil || s.Version != 1 {
			r.Fatalf("got %+v, %v", s, err)
		}
	}
	_, err := r.Store.Create(r.ctx, nil, ref, session.New{}, "create-2")
	r.wantErr(err, session.ErrExists)
	// A key stands for one operation: the same key with another operation is another write.
	if s, err := r.Store.Replace(r.ctx, nil, r.create(session.New{}).Ref, data(`{}`), session.TTL{}, session.Write{Key: "create-1"}); err != nil || s.Version != 2 {
		r.Fatalf("got %+v, %v", s, err)
	}

	w := session.Write{Key: "replace-1"}
	for range 2 {
		if s, err := r.Store.Replace(r.ctx, nil, ref, data(`{"a":1}`), session.TTL{}, w); err != nil || s.Version != 2 {
			r.Fatalf("got %+v, %v", s, err)
		}
	}
	// It is also recognised behind another write. It does not undo that one, and answers with its own version.
	if _, err := r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{"b":2}`)), session.Write{Key: "patch-1"}); err != nil {
		r.Fatal(err)
	}
	s, err := r.Store.Replace(r.ctx, nil, ref, data(`{"a":1}`), session.TTL{}, w)
	if err != nil || s.Version != 2 || string(s.Data) != `{"a":1}` {
		r.Fatalf("got %+v, %v", s, err)
	}
	r.wantData(r.get(ref), `{"a":1,"b":2}`)
	guard := session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}} // of the version that the patch was made at
	if s, err = r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{"b":2}`)), session.Write{Key: "patch-1", Guard: guard}); err != nil || s.Version != 3 || string(s.Data) != `{"a":1,"b":2}` {
		r.Fatalf("got %+v, %v", s, err)
	}
}
