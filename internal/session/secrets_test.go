package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func secrets(t *testing.T, keys ...string) *session.Secrets {
	t.Helper()
	var list [][]byte
	for _, k := range keys {
		if k != "" {
			k = strings.Repeat(k, 32)
		}
		list = append(list, []byte(k))
	}
	s, err := session.NewSecrets(list...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func under(t *testing.T, s *session.Secrets) *session.Tenant {
	t.Helper()
	tenant, err := session.NewTenant("acme", sessiontest.Policy, s)
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

// Of many sessions, each is found under its own secret, or reported as missing, in its own place.
func TestBatchesAcrossSecrets(t *testing.T) {
	_, store := embedded(t, cluster.Config{})
	tenants := []*session.Tenant{under(t, secrets(t, "a")), under(t, secrets(t, "b", "a")), under(t, secrets(t, "c", "b", "a"))}
	newest := tenants[2]
	var refs []session.Ref
	want := map[string]string{} // ID to data; "" for what is not there
	for _, data := range []string{"1", "", "2", "3", "", "4", "5"} {
		made := tenants[len(refs)%3].NewRef("")
		if data != "" {
			content := session.Content{Data: jsontext.Value(data)}
			if _, err := store.Create(t.Context(), nil, made, session.New{Content: content}, ""); err != nil {
				t.Fatal(err)
			}
		}
		want[made.ID()] = data
		refs = append(refs, parse(t, newest, made.ID()))
	}
	look := func() {
		t.Helper()
		for i, got := range store.GetMany(t.Context(), nil, refs) {
			switch data := want[refs[i].ID()]; {
			case data == "" && !errors.Is(got.Err, session.ErrNotFound), data != "" && got.Err != nil, string(got.Session.Data) != data:
				t.Errorf("%d, want %q: got %q, %v", i, data, got.Session.Data, got.Err)
			}
		}
	}
	look()
	for i, err := range store.DeleteMany(t.Context(), nil, []session.Ref{refs[0], refs[1], refs[3], refs[5]}) {
		if err != nil {
			t.Errorf("%d is not deleted: %v", i, err)
		}
	}
	for _, i := range []int{0, 3, 5} {
		want[refs[i].ID()] = ""
	}
	look()
}

// A session from before a change of secrets is found under all its IDs, by everything that can be done with one.
func TestChangeOfSecrets(t *testing.T) {
	const own = "an-id-of-the-callers-own-making"
	content := session.Content{Data: jsontext.Value(`1`)}
	changes := map[string]struct{ from, to *session.Secrets }{
		"the first secret": {nil, secrets(t, "a", "")},
		"another secret":   {secrets(t, "a"), secrets(t, "b", "a")},
		"after another":    {secrets(t, "a"), secrets(t, "c", "b", "a")},
	}
	for name, change := range changes {
		for _, id := range []string{"", own} {
			_, store := embedded(t, cluster.Config{})
			before, after := under(t, change.from), under(t, change.to)
			create := func() (old, now session.Ref) {
				old = before.NewRef("")
				if id != "" {
					old = parse(t, before, id)
				}
				if _, err := store.Create(t.Context(), nil, old, session.New{Content: content}, ""); err != nil {
					t.Fatal(err)
				}
				return old, parse(t, after, old.ID())
			}
			gone := func(ref session.Ref) {
				t.Helper()
				if _, err := store.Get(t.Context(), nil, ref); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("after a deletion: %v", err)
				}
			}
			forget := session.Deletion{Forget: true}
			t.Run(name, func(t *testing.T) {
				old, now := create()
				if got, err := store.Get(t.Context(), nil, now); err != nil || string(got.Data) != "1" {
					t.Errorf("get: %+v, %v", got, err)
				}
				if got := store.GetMany(t.Context(), nil, []session.Ref{now})[0]; got.Err != nil || string(got.Session.Data) != "1" {
					t.Errorf("get many: %+v", got)
				}
				if _, err := store.Create(t.Context(), nil, now, session.New{}, ""); !errors.Is(err, session.ErrExists) {
					t.Errorf("create: %v", err)
				}
				for version, write := range []func() (session.Session, error){
					func() (session.Session, error) {
						return store.Touch(t.Context(), nil, now, session.TTL{}, session.Guard{})
					},
					func() (session.Session, error) {
						return store.Replace(t.Context(), nil, now, content, session.TTL{}, session.Write{})
					},
					func() (session.Session, error) {
						return store.Upsert(t.Context(), nil, now, content, session.TTL{}, session.Write{})
					},
					func() (session.Session, error) {
						return store.Patch(t.Context(), nil, now, session.Patch(content), session.Write{})
					},
				} {
					if got, err := write(); err != nil || got.Version != uint64(version+1) {
						t.Errorf("write %d made version %d: %v", version, got.Version, err)
					}
				}
				_, next, err := store.Rotate(t.Context(), nil, now, session.Rotation{Grace: time.Minute}, session.Write{})
				if err != nil {
					t.Fatal(err)
				}
				for _, ref := range []session.Ref{old, now, next} {
					if got, err := store.Get(t.Context(), nil, ref); ref != old && (err != nil || string(got.Data) != "1") {
						t.Errorf("get after a rotation: %+v, %v", got, err)
					}
				}
				if err := store.Delete(t.Context(), nil, now, forget); err != nil {
					t.Fatal(err)
				}
				gone(now)
				gone(next)

				old, now = create()
				if errs := store.DeleteMany(t.Context(), nil, []session.Ref{now}); errs[0] != nil {
					t.Error(errs[0])
				}
				gone(now)
				gone(old)
			})
		}
	}
}

// A rotation from before a change of secrets leads on after it.
func TestRotationBeforeAChangeOfSecrets(t *testing.T) {
	_, store := embedded(t, cluster.Config{})
	before, after := under(t, secrets(t, "a")), under(t, secrets(t, "b", "a"))
	ref := before.NewRef("alice")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice"}, ""); err != nil {
		t.Fatal(err)
	}
	_, next, err := store.Rotate(t.Context(), nil, ref, session.Rotation{}, session.Write{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), nil, parse(t, after, next.ID())); err != nil {
		t.Fatal(err)
	}
	session.TouchNow(store, next)
	if _, err := store.Get(t.Context(), nil, parse(t, after, ref.ID())); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a read by the old ID: %v", err)
	}
}

// An ID revoked after the change is not created anew by a create that is late.
func TestUpsertAfterAChangeOfSecrets(t *testing.T) {
	_, store := embedded(t, cluster.Config{})
	before, after := under(t, secrets(t, "a")), under(t, secrets(t, "b", "a"))
	old := before.NewRef("")
	now := parse(t, after, old.ID())
	if _, err := store.Create(t.Context(), nil, old, session.New{}, ""); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), nil, now, session.Deletion{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Upsert(t.Context(), nil, now, session.Content{}, session.TTL{}, session.Write{}); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("an upsert: %v", err)
	}
	if got, err := store.Upsert(t.Context(), nil, after.NewRef(""), session.Content{}, session.TTL{}, session.Write{}); err != nil || got.Version != 1 {
		t.Errorf("an upsert of another: %+v, %v", got, err)
	}
}

// What was revoked otherwise than by its ID is not created anew either: by its handle, or as the end of a chain.
func TestCreateAfterRevocationUnderAnOlderSecret(t *testing.T) {
	_, store := embedded(t, cluster.Config{})
	before, after := under(t, secrets(t, "a")), under(t, secrets(t, "b", "a"))
	create := func() (old, now session.Ref) {
		old = before.NewRef("alice")
		if _, err := store.Create(t.Context(), nil, old, session.New{User: "alice"}, ""); err != nil {
			t.Fatal(err)
		}
		return old, parse(t, after, old.ID())
	}
	upsert := func(ref session.Ref) error {
		_, err := store.Upsert(t.Context(), nil, ref, session.Content{}, session.TTL{}, session.Write{})
		return err
	}
	_, now := create()
	if _, err := store.RevokeUser(t.Context(), nil, after, "alice", session.Handle{}); err != nil {
		t.Fatal(err)
	}
	if err := upsert(now); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("an upsert after the revocation of all: %v", err)
	}
	if _, err := store.Create(t.Context(), nil, now, session.New{User: "alice"}, ""); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("a create: %v", err)
	}

	for name, tenant := range map[string]*session.Tenant{"before": before, "after": after} { // the change of secrets
		old, now := create()
		_, next, err := store.Rotate(t.Context(), nil, parse(t, tenant, old.ID()), session.Rotation{Grace: time.Minute}, session.Write{})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Delete(t.Context(), nil, next, session.Deletion{}); err != nil {
			t.Fatal(err)
		}
		if err := upsert(now); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("an upsert by an old ID, rotated %s the change: %v", name, err)
		}
	}
	ref := after.NewRef("alice")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice"}, ""); err != nil {
		t.Fatal(err)
	}
	_, next, err := store.Rotate(t.Context(), nil, ref, session.Rotation{Grace: time.Minute}, session.Write{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), nil, next, session.Deletion{}); err != nil {
		t.Fatal(err)
	}
	if err := upsert(ref); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("an upsert by an old ID under the newest secret: %v", err)
	}
}

// Without the secret, an ID leads to nothing, and no record can be made for it.
func TestWithoutTheSecret(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	with, without := under(t, secrets(t, "a")), under(t, nil)
	ref := without.NewRef("admin")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "admin"}, ""); err != nil {
		t.Fatal(err)
	}
	victim := parse(t, with, ref.ID())
	if victim.Handle.String() == ref.Handle.String() {
		t.Error("the secret does not change the name")
	}
	if _, err := store.Get(t.Context(), nil, victim); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a record without the secret: %v", err)
	}
	record, err := e.Get(e.Keys()[0])
	if err != nil {
		t.Fatal(err)
	}
	key := keyOf(victim)
	if err := e.Set(key, record); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(t.Context(), nil, victim); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("the same at its name: %+v, %v", got, err)
	}
}

func TestNewSecrets(t *testing.T) {
	long := []byte(strings.Repeat("a", 32))
	for name, keys := range map[string][][]byte{
		"none":    {},
		"short":   {long[1:]},
		"twice":   {long, nil, long},
		"no none": {nil, nil},
	} {
		if _, err := session.NewSecrets(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func parse(t *testing.T, tenant *session.Tenant, id string) session.Ref {
	t.Helper()
	ref, err := tenant.ParseRef(id)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
