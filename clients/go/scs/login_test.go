package scs_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/scs"
)

// The ID changes at the login, the old one is dead, the values stay, and the session is in the user's list.
func TestLoginRotates(t *testing.T) {
	a := start(t, nil, nil)
	b := a.browser()
	b.want("/put?name=cart&value=full", "")
	guest := b.id()
	b.want("/login?user=alice", "")
	if b.id() == guest || b.id() == "" {
		t.Errorf("the ID was %q and is %q", guest, b.id())
	}
	b.want("/get?name=cart", "full")
	if _, err := a.client.Get(t.Context(), guest); !errors.Is(err, sessiond.ErrNotFound) {
		t.Errorf("the ID from before the login: %v", err)
	}
	if n := a.devices("alice"); n != 1 {
		t.Errorf("alice has %d sessions", n)
	}
	id := b.id()
	b.want("/renew", "")
	if b.id() == id {
		t.Error("the ID has not changed")
	}
	b.want("/get?name=cart", "full")
}

// An ID that somebody has planted in a browser is worth nothing once the session has been renewed or logged in.
func TestPlantedID(t *testing.T) {
	a := start(t, nil, nil)
	for _, do := range []string{"/renew", "/login?user=eve", "/logout"} {
		b := a.browser()
		b.want("/put?name=x&value=1", "")
		planted := b.id()
		b.want(do, "")
		if _, err := a.client.Get(t.Context(), planted); !errors.Is(err, sessiond.ErrNotFound) {
			t.Errorf("%s: %v", do, err)
		}
	}
	b := a.browser()
	r, _ := http.NewRequest("GET", a.url, nil)
	chosen := "an-id-that-a-thief-has-chosen"
	b.http.Jar.SetCookies(r.URL, []*http.Cookie{{Name: "session", Value: chosen}})
	b.want("/put?name=x&value=1", "")
	if b.id() == chosen {
		t.Error("the thief's ID is used")
	}
}

// A login over a session that was revoked meanwhile, or is another user's, begins an empty one, with its user.
func TestLoginOverAnotherSession(t *testing.T) {
	var a *app
	a = start(t, map[string]http.HandlerFunc{"/revoked": func(w http.ResponseWriter, r *http.Request) {
		if err := a.client.Delete(r.Context(), a.sessions.ID(r.Context())); err != nil {
			t.Error(err)
		}
		if err := a.sessions.Login(r.Context(), "frank"); err != nil {
			t.Error(err)
		}
		a.sessions.Put(r.Context(), "user", "frank")
	}}, nil)
	b := a.browser()
	b.want("/put?name=x&value=1", "")
	b.want("/revoked", "")
	if a.devices("frank") != 1 {
		t.Errorf("frank has %d sessions", a.devices("frank"))
	}
	b.want("/get?name=user", "frank")
	b.want("/get?name=x", "")
	b.want("/login?user=grace", "")
	b.want("/get?name=user", "")
	if a.devices("frank") != 0 || a.devices("grace") != 1 {
		t.Errorf("frank has %d sessions, grace %d", a.devices("frank"), a.devices("grace"))
	}
}

// A login that comes first makes a session that holds nothing but its user.
func TestLoginOfANewSession(t *testing.T) {
	a := start(t, nil, nil)
	b := a.browser()
	b.want("/login?user=bob", "")
	if b.id() == "" || a.devices("bob") != 1 {
		t.Errorf("ID %q, %d sessions", b.id(), a.devices("bob"))
	}
}

// The user can be told by a value, instead of by Login.
func TestUserByAValue(t *testing.T) {
	a := start(t, nil, func(m *scs.Manager) {
		m.User = func(ctx context.Context) string { return m.GetString(ctx, "uid") }
	})
	b := a.browser()
	b.want("/put?name=other&value=1", "")
	guest := b.id()
	b.want("/put?name=uid&value=carol", "")
	if b.id() == guest || a.devices("carol") != 1 {
		t.Errorf("the ID was %q and is %q; carol has %d sessions", guest, b.id(), a.devices("carol"))
	}
	b.want("/get?name=other", "1")
	b.want("/get?name=uid", "carol")
}
