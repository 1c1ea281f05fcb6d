package sessiontest

import (
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// The cases about time and revocation. Their margins are seconds, since a real cluster's clock does not wait for a slow
// test machine.

func touchSlides(r *run) {
	s := r.create(session.New{Content: session.Content{Meta: jsontext.Value(`{"a":1}`), Data: jsontext.Value(`1`)}})
	r.Advance(r.T, 20*time.Millisecond)
	got, err := r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{})
	if err != nil {
		r.Fatal(err)
	}
	if got.Version != 1 || got.Data != nil || string(got.Meta) != `{"a":1}` {
		r.Fatalf("got version %d, data %s, meta %s", got.Version, got.Data, got.Meta)
	}
	if !got.IdleExpiresAt().After(s.IdleExpiresAt()) || !got.ExpiresAt.Equal(s.ExpiresAt) {
		r.Fatalf("idle deadline %s after %s, absolute %s after %s", got.IdleExpiresAt(), s.IdleExpiresAt(), got.ExpiresAt, s.ExpiresAt)
	}
	if read := r.get(s.Ref); !read.TouchedAt.Equal(got.TouchedAt) {
		r.Fatalf("read touched %s, want %s", read.TouchedAt, got.TouchedAt)
	}
	r.wantData(r.get(s.Ref), `1`)
}

func touchSetsTTLs(r *run) {
	s := r.create(session.New{})
	got, err := r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{Idle: time.Hour, Max: 3 * time.Hour}, at(s))
	if err != nil {
		r.Fatal(err)
	}
	if got.IdleTTL != time.Hour || got.MaxTTL() != 3*time.Hour {
		r.Fatalf("got idle %s, max %s", got.IdleTTL, got.MaxTTL())
	}
	// An idle TTL above the max TTL raises the max TTL.
	if got, err = r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{Idle: 48 * time.Hour}, session.Guard{}); err != nil || got.MaxTTL() != 48*time.Hour {
		r.Fatalf("got max %s, %v", got.MaxTTL(), err)
	}
	_, err = r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{Set: true})
	r.wantErr(err, session.ErrConflict)

	// A max TTL that has already passed is an error, not a revocation.
	r.Advance(r.T, 5*time.Millisecond)
	_, err = r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{Max: time.Millisecond}, session.Guard{})
	if _, ok := errors.AsType[*session.TTLError](err); !ok {
		r.Fatalf("got %v, want a TTLError", err)
	}
	if read := r.get(s.Ref); read.MaxTTL() != 48*time.Hour {
		r.Fatalf("the refused touch left max %s", read.MaxTTL())
	}
}

func touchNeverCreates(r *run) {
	_, err := r.Store.Touch(r.ctx, nil, r.tenant.NewRef(""), session.TTL{}, session.Guard{})
	r.wantErr(err, session.ErrNotFound)
}

func deleteRevokes(r *run) {
	s := r.create(session.New{})
	for range 2 {
		if err := r.Store.Delete(r.ctx, nil, s.Ref, session.Deletion{}); err != nil {
			r.Fatal(err)
		}
		_, err := r.Store.Get(r.ctx, nil, s.Ref)
		r.wantErr(err, session.ErrNotFound)
	}
	if err := r.Store.Delete(r.ctx, nil, r.tenant.NewRef(""), session.Deletion{}); err != nil {
		r.Fatal(err)
	}
}

func deleteForestalls(r *run) {
	ref := r.tenant.NewRef("")
	if err := r.Store.Delete(r.ctx, nil, ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	_, err := r.Store.Create(r.ctx, nil, ref, session.New{}, "")
	r.wantErr(err, session.ErrRevoked)
}

func guardedDelete(r *run) {
	s1 := r.create(session.New{})
	s2, err := r.Store.Replace(r.ctx, nil, s1.Ref, data(`2`), session.TTL{}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	r.wantErr(r.Store.Delete(r.ctx, nil, s1.Ref, session.Deletion{Write: guarded(s1)}), session.ErrConflict)
	r.get(s1.Ref)
	if err := r.Store.Delete(r.ctx, nil, s1.Ref, session.Deletion{Write: guarded(s2)}); err != nil {
		r.Fatal(err)
	}
}

func revokedStaysRevoked(r *run) {
	s := r.create(session.New{Content: data(`{}`)})
	if err := r.Store.Delete(r.ctx, nil, s.Ref, session.Deletion{}); err != nil {
		r.Fatal(err)
	}
	_, err := r.Store.Create(r.ctx, nil, s.Ref, session.New{}, "")
	r.wantErr(err, session.ErrRevoked)
	_, err = r.Store.Replace(r.ctx, nil, s.Ref, data(`1`), session.TTL{}, session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":1}`)), session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Get(r.ctx, nil, s.Ref)
	r.wantErr(err, session.ErrNotFound)
}

func idleExpires(r *run) {
	s := r.create(session.New{TTL: session.TTL{Idle: 4 * time.Second}})
	r.Advance(r.T, time.Second)
	r.get(s.Ref)
	r.Advance(r.T, 3500*time.Millisecond)
	_, err := r.Store.Get(r.ctx, nil, s.Ref)
	r.wantErr(err, session.ErrNotFound)
}

func absoluteExpires(r *run) {
	s := r.create(session.New{TTL: session.TTL{Idle: 3 * time.Second, Max: 5 * time.Second}})
	for range 2 {
		r.Advance(r.T, time.Second)
		if _, err := r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{}); err != nil {
			r.Fatal(err)
		}
	}
	r.Advance(r.T, 3500*time.Millisecond)
	_, err := r.Store.Touch(r.ctx, nil, s.Ref, session.TTL{}, session.Guard{})
	r.wantErr(err, session.ErrNotFound)
}

func writesSlide(r *run) {
	s := r.create(session.New{TTL: session.TTL{Idle: 5 * time.Second}, Content: data(`{}`)})
	r.Advance(r.T, 3*time.Second)
	if _, err := r.Store.Replace(r.ctx, nil, s.Ref, data(`{}`), session.TTL{}, session.Write{}); err != nil {
		r.Fatal(err)
	}
	r.Advance(r.T, 3*time.Second)
	if _, err := r.Store.Patch(r.ctx, nil, s.Ref, session.Patch(data(`{"a":1}`)), session.Write{}); err != nil {
		r.Fatal(err)
	}
	r.Advance(r.T, 3*time.Second)
	r.wantData(r.get(s.Ref), `{"a":1}`)
}

func refusedTTLs(r *run) {
	s := r.create(session.New{})
	for name, ttl := range map[string]session.TTL{
		"negative idle":           {Idle: -time.Second},
		"negative max":            {Max: -time.Second},
		"idle over the limit":     {Idle: Policy.TTLLimit + time.Millisecond},
		"max over the limit":      {Max: Policy.TTLLimit + time.Millisecond},
		"less than a millisecond": {Idle: time.Microsecond},
		"idle over max":           {Idle: 2 * time.Hour, Max: time.Hour},
	} {
		_, onCreate := r.Store.Create(r.ctx, nil, r.tenant.NewRef(""), session.New{TTL: ttl}, "")
		_, onReplace := r.Store.Replace(r.ctx, nil, s.Ref, session.Content{}, ttl, session.Write{})
		_, onTouch := r.Store.Touch(r.ctx, nil, s.Ref, ttl, session.Guard{})
		for _, err := range []error{onCreate, onReplace, onTouch} {
			if _, ok := errors.AsType[*session.TTLError](err); !ok {
				r.Errorf("%s: got %v, want a TTLError", name, err)
			}
		}
	}
	if got := r.get(s.Ref); got.Version != 1 {
		r.Errorf("a refused write left version %d", got.Version)
	}
}

func refusedContent(r *run) {
	for name, n := range map[string]session.New{
		"meta is no object": {Content: session.Content{Meta: jsontext.Value(`[1]`)}},
		"meta too long":     {Content: session.Content{Meta: jsontext.Value(`{"a":"` + strings.Repeat("x", session.MaxMetaBytes) + `"}`)}},
		"user is a step up": {User: ".."},
		"user is no step":   {User: "."},
		"user hides itself": {User: "admin\u202egnp"},
		"user has a C1":     {User: "a\u0085b"},
		"user has a line":   {User: "a\u2028b"},
		"user too long":     {User: strings.Repeat("u", session.MaxUserBytes+1)},
		"user with newline": {User: "a\nb"},
		"user not UTF-8":    {User: "a\xff"},
	} {
		_, err := r.Store.Create(r.ctx, nil, r.tenant.NewRef(n.User), n, "")
		if _, ok := errors.AsType[*session.ContentError](err); !ok {
			r.Errorf("%s: got %v, want a ContentError", name, err)
		}
	}
}
