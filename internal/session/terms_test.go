package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A call is one call of a store, on a session of the user alice.
type call struct {
	context.Context
	session.Store
	terms  *session.Terms
	tenant *session.Tenant
	ref    session.Ref
}

var writes = map[string]func(call) error{
	"Create": func(c call) error {
		_, err := c.Create(c, c.terms, c.tenant.NewRef("alice"), session.New{User: "alice"}, "")
		return err
	},
	"Replace": func(c call) error {
		_, err := c.Replace(c, c.terms, c.ref, session.Content{}, session.TTL{}, session.Write{})
		return err
	},
	"Upsert": func(c call) error {
		chosen, err := c.tenant.ParseRef("chosen.0123456789.0123456789")
		if err != nil {
			return err
		}
		_, err = c.Upsert(c, c.terms, chosen, session.Content{}, session.TTL{}, session.Write{})
		return err
	},
	"Patch": func(c call) error {
		_, err := c.Patch(c, c.terms, c.ref, session.Patch{Data: jsontext.Value(`{"a":1}`)}, session.Write{})
		return err
	},
	"Touch": func(c call) error {
		_, err := c.Touch(c, c.terms, c.ref, session.TTL{}, session.Guard{})
		return err
	},
	"Delete": func(c call) error {
		return c.Delete(c, c.terms, c.ref, session.Deletion{})
	},
	"Rotate": func(c call) error {
		_, _, err := c.Rotate(c, c.terms, c.ref, session.Rotation{}, session.Write{})
		return err
	},
	"RevokeUser": func(c call) error {
		_, err := c.RevokeUser(c, c.terms, c.tenant, "alice", session.Handle{})
		return err
	},
	"RevokeHandle": func(c call) error {
		return c.RevokeHandle(c, c.terms, "alice", c.ref.Handle)
	},
	"DeleteMany": func(c call) error {
		return c.DeleteMany(c, c.terms, []session.Ref{c.ref})[0]
	},
}

// Every write carries out its terms and reports what it achieved. The embedded Redis has no replica, so that a write which
// waits for one achieves single, and a strict write fails.
func TestEveryWriteHasItsDurability(t *testing.T) {
	for name, write := range writes {
		standard := cluster.Single
		if name == "Touch" {
			standard = cluster.Async
		}
		for _, c := range []struct {
			terms *session.Terms
			want  cluster.Durability // achieved; empty if the write fails
		}{
			{&session.Terms{}, standard},
			{&session.Terms{Durability: cluster.Async}, cluster.Async},
			{&session.Terms{Durability: cluster.Replicated}, cluster.Single},
			{&session.Terms{Durability: cluster.Strict}, ""},
		} {
			err := write(aliceCall(t, c.terms))
			if c.want == "" && !errors.Is(err, cluster.ErrUnavailable) || c.want != "" && err != nil {
				t.Errorf("%s asked for %q: got error %v", name, c.terms.Durability, err)
			}
			if got := c.terms.Achieved(); got != c.want {
				t.Errorf("%s asked for %q: achieved %q, want %q", name, c.terms.Durability, got, c.want)
			}
		}
	}
}

// aliceCall is a call on a new session in a store of its own.
func aliceCall(t *testing.T, terms *session.Terms) call {
	_, store := embedded(t, cluster.Config{})
	tenant := sessiontest.Tenant(t, "acme")
	ref := tenant.NewRef("alice")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice"}, ""); err != nil {
		t.Fatal(err)
	}
	return call{t.Context(), store, terms, tenant, ref}
}

// A login takes two writes, and neither waits for a replica unless its terms ask for it.
func TestBothWritesOfALoginHaveItsDurability(t *testing.T) {
	for asked, waits := range map[cluster.Durability]bool{cluster.Async: false, cluster.Replicated: true} {
		e, store := embedded(t, cluster.Config{})
		anonymous := sessiontest.Tenant(t, "acme").NewRef("")
		if _, err := store.Create(t.Context(), nil, anonymous, session.New{}, ""); err != nil {
			t.Fatal(err)
		}
		e.Commands()
		terms := &session.Terms{Durability: asked}
		if _, _, err := store.Rotate(t.Context(), terms, anonymous, session.Rotation{User: "alice"}, session.Write{}); err != nil {
			t.Fatal(err)
		}
		if sent := e.Commands(); slices.Contains(sent, "WAIT") != waits {
			t.Errorf("a login asked for %s sent %v", asked, sent)
		}
	}
}
