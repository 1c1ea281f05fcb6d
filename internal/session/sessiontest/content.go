package sessiontest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about what is stored and read.

func createdIsReadBack(r *run) {
	in := session.New{User: "zoë", Content: session.Content{
		Meta: jsontext.Value(`{"device" : "phone"}`),
		Data: jsontext.Value(`{"n": 12345678901234567890.10, "s":"<\u00e9é>", "a" :[1,  2]}`),
	}}
	s := r.create(in)
	got := r.get(s.Ref)
	if got.User != in.User || string(got.Meta) != string(in.Meta) || string(got.Data) != string(in.Data) {
		r.Fatalf("got %q %s %s", got.User, got.Meta, got.Data)
	}
	if got.Version != 1 || got.IdleTTL != Policy.DefaultIdle || got.MaxTTL() != Policy.DefaultMax {
		r.Fatalf("got version %d, idle %s, max %s", got.Version, got.IdleTTL, got.MaxTTL())
	}
	if !got.CreatedAt.Equal(s.CreatedAt) || !got.TouchedAt.Equal(got.CreatedAt) {
		r.Fatalf("created %s, touched %s, create said %s", got.CreatedAt, got.TouchedAt, s.CreatedAt)
	}
	r.wantData(s.Session, string(in.Data))
}

func mayHoldNothing(r *run) {
	s := r.create(session.New{})
	got := r.get(s.Ref)
	if got.User != "" || got.Meta != nil || got.Data != nil {
		r.Fatalf("got %q %q %q", got.User, got.Meta, got.Data)
	}
}

func neverCreated(r *run) {
	_, err := r.Store.Get(r.ctx, nil, r.tenant.NewRef(""))
	r.wantErr(err, session.ErrNotFound)
}

func otherTenant(r *run) {
	s := r.create(session.New{})
	ref, err := Tenant(r, "other").ParseRef(s.Ref.ID())
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Get(r.ctx, nil, ref)
	r.wantErr(err, session.ErrNotFound)
}

func createDoesNotOverwrite(r *run) {
	s := r.create(session.New{Content: data(`1`)})
	_, err := r.Store.Create(r.ctx, nil, s.Ref, session.New{Content: data(`2`)}, "")
	r.wantErr(err, session.ErrExists)
	r.wantData(r.get(s.Ref), `1`)
}

func racingCreates(r *run) {
	ref := r.tenant.NewRef("")
	var mu sync.Mutex
	var winners []string
	together(20, func(i int) {
		text := fmt.Sprint(i)
		_, err := r.Store.Create(r.ctx, nil, ref, session.New{Content: data(text)}, "")
		if err == nil {
			mu.Lock()
			winners = append(winners, text)
			mu.Unlock()
		} else if !errors.Is(err, session.ErrExists) {
			r.Errorf("create: %v", err)
		}
	})
	if len(winners) != 1 {
		r.Fatalf("%d creates succeeded", len(winners))
	}
	r.wantData(r.get(ref), winners[0])
}

func userSlot(r *run) {
	a, b := r.tenant.NewRef("alice"), r.tenant.NewRef("alice")
	if a.Handle.String()[:3] != b.Handle.String()[:3] {
		r.Fatalf("two sessions of one user have the tags of %s and %s", a, b)
	}
	ref, err := r.tenant.ParseRef(strings.Repeat("x", 40))
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Create(r.ctx, nil, ref, session.New{User: "alice"}, "")
	r.wantErr(err, session.ErrForeignSlot)
	_, err = r.Store.Create(r.ctx, nil, r.tenant.NewRef("bob"), session.New{User: "alice"}, "")
	r.wantErr(err, session.ErrForeignSlot)
}

func replaceStores(r *run) {
	s := r.create(session.New{Content: data(`1`)})
	for v := uint64(2); v < 8; v++ {
		got, err := r.Store.Replace(r.ctx, nil, s.Ref, data(fmt.Sprint(v)), session.TTL{}, session.Write{})
		if err != nil || got.Version != v {
			r.Fatalf("got version %d, %v, want %d", got.Version, err, v)
		}
		r.wantData(got, fmt.Sprint(v))
		r.wantData(r.get(s.Ref), fmt.Sprint(v))
	}
}

func replaceEmpties(r *run) {
	s := r.create(session.New{Content: session.Content{Meta: jsontext.Value(`{"a":1}`), Data: jsontext.Value(`1`)}})
	if _, err := r.Store.Replace(r.ctx, nil, s.Ref, session.Content{}, session.TTL{}, session.Write{}); err != nil {
		r.Fatal(err)
	}
	if got := r.get(s.Ref); got.Meta != nil || got.Data != nil {
		r.Fatalf("got %s %s", got.Meta, got.Data)
	}
}

func replaceNeverCreates(r *run) {
	ref := r.tenant.NewRef("")
	_, err := r.Store.Replace(r.ctx, nil, ref, data(`1`), session.TTL{}, session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Patch(r.ctx, nil, ref, session.Patch(data(`{}`)), session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Get(r.ctx, nil, ref)
	r.wantErr(err, session.ErrNotFound)
}

func replaceKeeps(r *run) {
	s := r.create(session.New{User: "alice", TTL: session.TTL{Idle: time.Hour, Max: 2 * time.Hour}})
	got, err := r.Store.Replace(r.ctx, nil, s.Ref, data(`1`), session.TTL{}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	if got.User != "alice" || got.IdleTTL != time.Hour || got.MaxTTL() != 2*time.Hour || !got.CreatedAt.Equal(s.CreatedAt) {
		r.Fatalf("got %+v", got)
	}
}

func guardedReplace(r *run) {
	s1 := r.create(session.New{Content: data(`1`)})
	s2, err := r.Store.Replace(r.ctx, nil, s1.Ref, data(`2`), session.TTL{}, guarded(s1))
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Replace(r.ctx, nil, s1.Ref, data(`lost`), session.TTL{}, guarded(s1))
	r.wantErr(err, session.ErrConflict)
	_, err = r.Store.Replace(r.ctx, nil, s1.Ref, data(`lost`), session.TTL{}, session.Write{Guard: session.Guard{Set: true}})
	r.wantErr(err, session.ErrConflict)
	r.wantData(r.get(s1.Ref), `2`)
	either := session.Guard{Set: true, AnyOf: []session.Stamp{s1.Stamp(), s2.Stamp()}}
	if _, err := r.Store.Replace(r.ctx, nil, s1.Ref, data(`3`), session.TTL{}, session.Write{Guard: either}); err != nil {
		r.Fatal(err)
	}
}

func guardOfAnotherLife(r *run) {
	short := session.New{TTL: session.TTL{Idle: 100 * time.Millisecond, Max: 100 * time.Millisecond}}
	first := r.create(short)
	r.Advance(r.T, 150*time.Millisecond)
	second, err := r.Store.Create(r.ctx, nil, first.Ref, session.New{}, "")
	if err != nil {
		r.Fatal(err)
	}
	if first.Version != second.Version {
		r.Fatalf("versions %d and %d", first.Version, second.Version)
	}
	_, err = r.Store.Replace(r.ctx, nil, first.Ref, data(`1`), session.TTL{}, guarded(first))
	r.wantErr(err, session.ErrConflict)
}

func patchMerges(r *run) {
	s := r.create(session.New{Content: session.Content{
		Meta: jsontext.Value(`{"device":"phone"}`), Data: jsontext.Value(`{"big":1234567890.12345678901,"a":{"b":1,"c":2}}`),
	}})
	got, err := r.Store.Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":{"c":3},"d":[1]}`)), session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	want := `{"big":1234567890.12345678901,"a":{"b":1,"c":3},"d":[1]}`
	r.wantData(got, want)
	got = r.get(s.Ref)
	r.wantData(got, want)
	if string(got.Meta) != `{"device":"phone"}` || got.Version != 2 {
		r.Fatalf("got meta %s, version %d", got.Meta, got.Version)
	}
}

func patchRemoves(r *run) {
	s := r.create(session.New{Content: session.Content{Meta: jsontext.Value(`{"a":1}`), Data: jsontext.Value(`{"a":1,"b":2}`)}})
	got, err := r.Store.Patch(r.ctx, nil, s.Ref, session.Patch{Meta: jsontext.Value(`null`), Data: jsontext.Value(`{"a":null}`)}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	r.wantData(got, `{"b":2}`)
	if got = r.get(s.Ref); got.Meta != nil {
		r.Fatalf("got meta %s", got.Meta)
	}
}

func concurrentPatches(r *run) {
	for range races {
		r.racePatches()
	}
}

func (r *run) racePatches() {
	s := r.create(session.New{Content: data(`{}`)})
	const writers = 200
	together(writers, func(i int) {
		patch := session.Patch(data(fmt.Sprintf(`{"m%03d":%d}`, i, i)))
		if _, err := r.store(i).Patch(r.ctx, nil, s.Ref, patch, session.Write{}); err != nil {
			r.Errorf("patch %d: %v", i, err)
		}
	})
	got := r.get(s.Ref)
	if got.Version != writers+1 {
		r.Errorf("got version %d, want %d", got.Version, writers+1)
	}
	for i := range writers {
		if member := fmt.Sprintf(`"m%03d":%d`, i, i); !strings.Contains(string(got.Data), member) {
			r.Errorf("%s is missing in %s", member, got.Data)
		}
	}
}

func guardedPatch(r *run) {
	s := r.create(session.New{Content: data(`{}`)})
	if _, err := r.Store.Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":1}`)), guarded(s)); err != nil {
		r.Fatal(err)
	}
	_, err := r.Store.Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":2}`)), guarded(s))
	r.wantErr(err, session.ErrConflict)
	r.wantData(r.get(s.Ref), `{"a":1}`)
}
