package sessiond_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/sessiondtest"
)

type cart map[string]any

func TestLifeOfASession(t *testing.T) {
	c, ctx := sessiondtest.Client(t), t.Context()
	made, err := c.Create(ctx, sessiond.NewSession{User: "alice", Content: sessiond.Content{Meta: cart{"device": "phone"}, Data: cart{"a": 1}}})
	if err != nil || made.ID == "" || made.User != "alice" || made.ETag == "" || made.Version != 1 {
		t.Fatalf("create: %+v, %v", made, err)
	}
	got, err := c.Get(ctx, made.ID)
	if err != nil || string(got.Data) != `{"a":1}` || string(got.Meta) != `{"device":"phone"}` || got.Handle != made.Handle || got.ETag != made.ETag {
		t.Fatalf("get: %+v, %v", got, err)
	}
	replaced, err := c.Replace(ctx, made.ID, sessiond.Content{Data: cart{"a": 2}}, sessiond.TTL{Idle: sessiond.Duration(time.Minute)}, sessiond.IfMatch(made.ETag))
	if err != nil || replaced.Version != 2 || replaced.IdleTTL != sessiond.Duration(time.Minute) {
		t.Fatalf("replace: %+v, %v", replaced, err)
	}
	if _, err := c.Replace(ctx, made.ID, sessiond.Content{}, sessiond.TTL{}, sessiond.IfMatch(made.ETag)); !errors.Is(err, sessiond.ErrConflict) {
		t.Errorf("replace of an older version: %v", err)
	}
	patched, err := c.Patch(ctx, made.ID, sessiond.Content{Data: cart{"b": 1}})
	if err != nil || string(patched.Data) != `{"a":2,"b":1}` {
		t.Errorf("patch: %+v, %v", patched, err)
	}
	if touched, err := c.Touch(ctx, made.ID, sessiond.TTL{Max: sessiond.Duration(time.Hour)}); err != nil || touched.MaxTTL != sessiond.Duration(time.Hour) {
		t.Errorf("touch: %+v, %v", touched, err)
	}
	rotated, err := c.Rotate(ctx, made.ID)
	if err != nil || rotated.ID == made.ID || rotated.ID == "" {
		t.Fatalf("rotate: %+v, %v", rotated, err)
	}
	if got, err := c.Peek(ctx, made.ID); err != nil || got.Handle != rotated.Handle {
		t.Errorf("within the grace: %+v, %v", got, err)
	}
	if err := c.Delete(ctx, rotated.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.Get(ctx, rotated.ID); !errors.Is(err, sessiond.ErrNotFound) {
		t.Errorf("get after delete: %v", err)
	}
	if _, err := c.Replace(ctx, rotated.ID, sessiond.Content{}, sessiond.TTL{}); !errors.Is(err, sessiond.ErrNotFound) {
		t.Errorf("a save after a log-out: %v", err)
	}
	if _, err := c.CreateAt(ctx, rotated.ID, sessiond.NewSession{}); !errors.Is(err, sessiond.ErrRevoked) {
		t.Errorf("a create after a log-out: %v", err)
	}
}

func TestLogin(t *testing.T) {
	c, ctx := sessiondtest.Client(t), t.Context()
	guest, err := c.Create(ctx, sessiond.NewSession{Content: sessiond.Content{Data: cart{"cart": 3}}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.Login(ctx, guest.ID, "bob")
	if err != nil || in.User != "bob" || in.ID == guest.ID || string(in.Data) != `{"cart":3}` {
		t.Fatalf("login: %+v, %v", in, err)
	}
	if _, err := c.Get(ctx, guest.ID); !errors.Is(err, sessiond.ErrNotFound) {
		t.Errorf("the ID from before the login: %v", err)
	}
	other, err := c.Create(ctx, sessiond.NewSession{User: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	var handles []string
	for s, err := range c.List(ctx, "bob") {
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, s.Handle)
	}
	if strings.Join(handles, " ") != in.Handle+" "+other.Handle {
		t.Errorf("the list holds %v", handles)
	}
	if n, err := c.RevokeUser(ctx, "bob", in.Handle); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	results, err := c.GetMany(ctx, in.ID, other.ID)
	if err != nil || len(results) != 2 || results[0].Err != nil || results[0].Session.User != "bob" || !errors.Is(results[1].Err, sessiond.ErrNotFound) {
		t.Errorf("many: %+v, %v", results, err)
	}
	if err := c.RevokeHandle(ctx, "bob", in.Handle); err != nil {
		t.Error(err)
	}
	if results, err := c.DeleteMany(ctx, in.ID, other.ID); err != nil || len(results) != 2 || results[0].Err != nil || results[1].Err != nil {
		t.Errorf("delete many: %+v, %v", results, err)
	}
}

// A user's list is read to its end, over many pages, and a name is any text.
func TestLongList(t *testing.T) {
	c, ctx := sessiondtest.Client(t, "--sessions-per-user=300"), t.Context()
	const user, n = "ümlaut/€ ?&", 230
	for range n {
		if _, err := c.Create(ctx, sessiond.NewSession{User: user}, sessiond.Prefer("return=minimal")); err != nil {
			t.Fatal(err)
		}
	}
	listed := 0
	for s, err := range c.List(ctx, user) {
		if err != nil || s.User != user {
			t.Fatal(s, err)
		}
		listed++
	}
	if listed != n {
		t.Errorf("%d of %d are listed", listed, n)
	}
}

func TestProblem(t *testing.T) {
	c := sessiondtest.Client(t)
	_, err := c.CreateAt(t.Context(), c.NewID(""), sessiond.NewSession{User: "alice"})
	var p *sessiond.Problem
	if !errors.As(err, &p) || p.Kind() != "id-not-for-user" || p.Status != 422 || p.RequestID == "" || !strings.Contains(err.Error(), p.RequestID) {
		t.Errorf("got %+v, %v", p, err)
	}
}

// What a patch makes of before is after, as the service merges it.
func TestMergePatch(t *testing.T) {
	c, ctx := sessiondtest.Client(t), t.Context()
	for _, x := range []struct{ before, after, want string }{
		{`{}`, `{}`, `{}`},
		{`{"a":1,"b":2}`, `{"a":1,"b":3}`, `{"b":3}`},
		{`{"a":1,"b":2}`, `{"b":2}`, `{"a":null}`},
		{`{"a":{"x":1,"y":2}}`, `{"a":{"y":2,"z":3}}`, `{"a":{"x":null,"z":3}}`},
		{`{"a":{"x":1}}`, `{"a":7}`, `{"a":7}`},
		{`{"a":7}`, `{"a":{"x":1}}`, `{"a":{"x":1}}`},
		{`{"a":[1,2]}`, `{"a":[1,{"b":null}]}`, `{"a":[1,{"b":null}]}`},
		{`{"a":1}`, `{"a":null}`, `{"a":null}`},
		{`{"a":{"b":[1,"x"]}}`, `{ "a" : { "b" : [1.0, "\u0078"] } }`, `{}`},
		{`{"a":{"x":{"y":1}}}`, `{"a":{"x":{}}}`, `{"a":{"x":{"y":null}}}`},
	} {
		var before, after map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal([]byte(x.before), &before), json.Unmarshal([]byte(x.after), &after)); err != nil {
			t.Fatal(err)
		}
		patch, changed := sessiond.MergePatch(before, after)
		text, err := json.Marshal(patch)
		if err != nil || string(text) != x.want || changed != (x.want != `{}`) {
			t.Errorf("from %s to %s: got %s, %t", x.before, x.after, text, changed)
		}
		s, err := c.Create(ctx, sessiond.NewSession{Content: sessiond.Content{Data: before}})
		if err != nil {
			t.Fatal(err)
		}
		merged, err := c.Patch(ctx, s.ID, sessiond.Content{Data: patch})
		want := strings.ReplaceAll(x.after, `{"a":null}`, `{}`)
		if !changed {
			want = x.before
		}
		if err != nil || string(merged.Data) != want {
			t.Errorf("from %s to %s: the service has %s, %v", x.before, x.after, merged.Data, err)
		}
	}
}
