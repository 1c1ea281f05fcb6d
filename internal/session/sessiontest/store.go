// Package sessiontest holds the specification of a session.Store as tests.
package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// Policy is the policy of the tenants that the suite uses.
var Policy = session.Policy{DefaultIdle: 30 * time.Minute, DefaultMax: 24 * time.Hour, TTLLimit: 720 * time.Hour}

// An Env is a store under test and the clock that its sessions expire by.
type Env struct {
	Store   session.Store
	Advance func(t *testing.T, d time.Duration) // returns when at least d has passed for the store
}

// Tenant makes a tenant with [Policy].
func Tenant(t testing.TB, name string) *session.Tenant {
	t.Helper()
	tenant, err := session.NewTenant(name, Policy)
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

// TestStore runs the whole specification, each case in the environment that newEnv gives it.
func TestStore(t *testing.T, newEnv func(t *testing.T) Env) {
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			c.check(&run{T: t, Env: env, ctx: ctx, tenant: Tenant(t, "acme")})
		})
	}
}

// cases is the specification, a rule a line.
var cases = []struct {
	rule  string
	check func(*run)
}{
	{"a created session is read back byte for byte", createdIsReadBack},
	{"a session may hold nothing", mayHoldNothing},
	{"what was never created is not found", neverCreated},
	{"an ID of another tenant finds nothing", otherTenant},
	{"create does not overwrite", createDoesNotOverwrite},
	{"of racing creates one wins", racingCreates},
	{"a user's session lies in the user's slot", userSlot},
	{"replace stores the new content and counts the version", replaceStores},
	{"replace empties what it is not given", replaceEmpties},
	{"replace never creates", replaceNeverCreates},
	{"replace keeps the user and the TTLs", replaceKeeps},
	{"a guard lets only its version through", guardedReplace},
	{"a guard of one life does not hold in the next", guardOfAnotherLife},
	{"patch merges and keeps what it does not name", patchMerges},
	{"patch removes by null", patchRemoves},
	{"patches of different members all survive", concurrentPatches},
	{"a guarded patch does not start again", guardedPatch},
	{"touch slides and changes no version", touchSlides},
	{"touch sets new TTLs", touchSetsTTLs},
	{"touch never creates", touchNeverCreates},
	{"delete revokes, and again is no error", deleteRevokes},
	{"a create that comes late does not undo a delete", deleteForestalls},
	{"a guarded delete spares another version", guardedDelete},
	{"a revoked session stays revoked", revokedStaysRevoked},
	{"an unused session expires", idleExpires},
	{"a used session expires at its absolute deadline", absoluteExpires},
	{"every write slides the idle deadline", writesSlide},
	{"a read slides the idle deadline, a peek does not", readSlides},
	{"upsert creates and replaces", upsertSaves},
	{"upsert takes no issued ID and brings nothing back", upsertRefuses},
	{"a forgetting delete leaves the ID free", deleteForgets},
	{"a write repeated under its key takes effect once", writeKeys},
	{"a user's sessions are listed, the oldest first, by page", userList},
	{"a page holds no other user's and no other tenant's sessions", userListIsOwn},
	{"the dead leave the list by themselves", deadLeaveList},
	{"one of a user's sessions is revoked by its handle", revokeByHandle},
	{"all of a user's sessions are revoked but one", revokeAll},
	{"a user has no more sessions than may be: denied", limitDenies},
	{"a user has no more sessions than may be: the oldest goes", limitEvicts},
	{"racing creates never exceed the limit", racingLimit},
	{"rotation carries everything over to a new ID", rotateCarries},
	{"an old ID stands for the new within the grace", oldIDFollows},
	{"racing rotations get the same successor", racingRotations},
	{"an old ID used after its grace revokes the session", reuseRevokes},
	{"a rotation without grace leaves the old ID dead, without reuse", rotateAtOnce},
	{"a login moves an anonymous session to its user", loginMoves},
	{"of racing logins one wins", racingLogins},
	{"a login with an ID from before a rotation logs in", loginThroughOldID},
	{"a handle from before a rotation leads to the session", staleHandles},
	{"a session cannot change its user", loginOfAnother},
	{"no acknowledged write is lost to a rotation or a login", rotationKeepsWrites},
	{"whatever is under way, a revoked session stays revoked", racingRevocation},
	{"many are read and deleted at once, each with its own result", batches},
	{"a walk lists every live session of the tenant and no other", walk},
	{"locks exclude each other", locks},
	{"TTLs that may not be are refused", refusedTTLs},
	{"content that may not be is refused", refusedContent},
}

type run struct {
	*testing.T
	Env
	ctx    context.Context
	tenant *session.Tenant
}

// created is a session and the right to it.
type created struct {
	session.Session
	Ref session.Ref
}

func (r *run) create(n session.New) created {
	r.Helper()
	ref := r.tenant.NewRef(n.User)
	s, err := r.Store.Create(r.ctx, ref, n, "")
	if err != nil {
		r.Fatalf("create: %v", err)
	}
	return created{s, ref}
}

// get reads without sliding, so that it does not disturb what a case says of time.
func (r *run) get(ref session.Ref) session.Session {
	r.Helper()
	s, err := r.Store.Peek(r.ctx, ref)
	if err != nil {
		r.Fatalf("get: %v", err)
	}
	return s
}

func (r *run) wantErr(err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("got error %v, want %v", err, want)
	}
}

func (r *run) wantData(s session.Session, want string) {
	r.Helper()
	if string(s.Data) != want {
		r.Fatalf("got data %s, want %s", s.Data, want)
	}
}

// at is the guard that admits just this version.
func at(s interface{ Stamp() session.Stamp }) session.Guard {
	return session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}}
}

func guarded(s interface{ Stamp() session.Stamp }) session.Write { return session.Write{Guard: at(s)} }

func data(text string) session.Content { return session.Content{Data: jsontext.Value(text)} }

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
	_, err := r.Store.Get(r.ctx, r.tenant.NewRef(""))
	r.wantErr(err, session.ErrNotFound)
}

func otherTenant(r *run) {
	s := r.create(session.New{})
	ref, err := Tenant(r, "other").ParseRef(s.Ref.ID())
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Get(r.ctx, ref)
	r.wantErr(err, session.ErrNotFound)
}

func createDoesNotOverwrite(r *run) {
	s := r.create(session.New{Content: data(`1`)})
	_, err := r.Store.Create(r.ctx, s.Ref, session.New{Content: data(`2`)}, "")
	r.wantErr(err, session.ErrExists)
	r.wantData(r.get(s.Ref), `1`)
}

func racingCreates(r *run) {
	ref := r.tenant.NewRef("")
	var mu sync.Mutex
	var winners []string
	together(20, func(i int) {
		text := fmt.Sprint(i)
		_, err := r.Store.Create(r.ctx, ref, session.New{Content: data(text)}, "")
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
	_, err = r.Store.Create(r.ctx, ref, session.New{User: "alice"}, "")
	r.wantErr(err, session.ErrForeignSlot)
	_, err = r.Store.Create(r.ctx, r.tenant.NewRef("bob"), session.New{User: "alice"}, "")
	r.wantErr(err, session.ErrForeignSlot)
}

func replaceStores(r *run) {
	s := r.create(session.New{Content: data(`1`)})
	for v := uint64(2); v < 8; v++ {
		got, err := r.Store.Replace(r.ctx, s.Ref, data(fmt.Sprint(v)), session.TTL{}, session.Write{})
		if err != nil || got.Version != v {
			r.Fatalf("got version %d, %v, want %d", got.Version, err, v)
		}
		r.wantData(got, fmt.Sprint(v))
		r.wantData(r.get(s.Ref), fmt.Sprint(v))
	}
}

func replaceEmpties(r *run) {
	s := r.create(session.New{Content: session.Content{Meta: jsontext.Value(`{"a":1}`), Data: jsontext.Value(`1`)}})
	if _, err := r.Store.Replace(r.ctx, s.Ref, session.Content{}, session.TTL{}, session.Write{}); err != nil {
		r.Fatal(err)
	}
	if got := r.get(s.Ref); got.Meta != nil || got.Data != nil {
		r.Fatalf("got %s %s", got.Meta, got.Data)
	}
}

func replaceNeverCreates(r *run) {
	ref := r.tenant.NewRef("")
	_, err := r.Store.Replace(r.ctx, ref, data(`1`), session.TTL{}, session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Patch(r.ctx, ref, session.Patch(data(`{}`)), session.Write{})
	r.wantErr(err, session.ErrNotFound)
	_, err = r.Store.Get(r.ctx, ref)
	r.wantErr(err, session.ErrNotFound)
}

func replaceKeeps(r *run) {
	s := r.create(session.New{User: "alice", TTL: session.TTL{Idle: time.Hour, Max: 2 * time.Hour}})
	got, err := r.Store.Replace(r.ctx, s.Ref, data(`1`), session.TTL{}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	if got.User != "alice" || got.IdleTTL != time.Hour || got.MaxTTL() != 2*time.Hour || !got.CreatedAt.Equal(s.CreatedAt) {
		r.Fatalf("got %+v", got)
	}
}

func guardedReplace(r *run) {
	s1 := r.create(session.New{Content: data(`1`)})
	s2, err := r.Store.Replace(r.ctx, s1.Ref, data(`2`), session.TTL{}, guarded(s1))
	if err != nil {
		r.Fatal(err)
	}
	_, err = r.Store.Replace(r.ctx, s1.Ref, data(`lost`), session.TTL{}, guarded(s1))
	r.wantErr(err, session.ErrConflict)
	_, err = r.Store.Replace(r.ctx, s1.Ref, data(`lost`), session.TTL{}, session.Write{Guard: session.Guard{Set: true}})
	r.wantErr(err, session.ErrConflict)
	r.wantData(r.get(s1.Ref), `2`)
	either := session.Guard{Set: true, AnyOf: []session.Stamp{s1.Stamp(), s2.Stamp()}}
	if _, err := r.Store.Replace(r.ctx, s1.Ref, data(`3`), session.TTL{}, session.Write{Guard: either}); err != nil {
		r.Fatal(err)
	}
}

func guardOfAnotherLife(r *run) {
	short := session.New{TTL: session.TTL{Idle: 100 * time.Millisecond, Max: 100 * time.Millisecond}}
	first := r.create(short)
	r.Advance(r.T, 150*time.Millisecond)
	second, err := r.Store.Create(r.ctx, first.Ref, session.New{}, "")
	if err != nil {
		r.Fatal(err)
	}
	if first.Version != second.Version {
		r.Fatalf("versions %d and %d", first.Version, second.Version)
	}
	_, err = r.Store.Replace(r.ctx, first.Ref, data(`1`), session.TTL{}, guarded(first))
	r.wantErr(err, session.ErrConflict)
}

func patchMerges(r *run) {
	s := r.create(session.New{Content: session.Content{
		Meta: jsontext.Value(`{"device":"phone"}`), Data: jsontext.Value(`{"big":1234567890.12345678901,"a":{"b":1,"c":2}}`),
	}})
	got, err := r.Store.Patch(r.ctx, s.Ref, session.Patch(data(`{"a":{"c":3},"d":[1]}`)), session.Write{})
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
	got, err := r.Store.Patch(r.ctx, s.Ref, session.Patch{Meta: jsontext.Value(`null`), Data: jsontext.Value(`{"a":null}`)}, session.Write{})
	if err != nil {
		r.Fatal(err)
	}
	r.wantData(got, `{"b":2}`)
	if got = r.get(s.Ref); got.Meta != nil {
		r.Fatalf("got meta %s", got.Meta)
	}
}

func concurrentPatches(r *run) {
	s := r.create(session.New{Content: data(`{}`)})
	const writers = 200
	together(writers, func(i int) {
		patch := session.Patch(data(fmt.Sprintf(`{"m%03d":%d}`, i, i)))
		if _, err := r.Store.Patch(r.ctx, s.Ref, patch, session.Write{}); err != nil {
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
	if _, err := r.Store.Patch(r.ctx, s.Ref, session.Patch(data(`{"a":1}`)), guarded(s)); err != nil {
		r.Fatal(err)
	}
	_, err := r.Store.Patch(r.ctx, s.Ref, session.Patch(data(`{"a":2}`)), guarded(s))
	r.wantErr(err, session.ErrConflict)
	r.wantData(r.get(s.Ref), `{"a":1}`)
}

// together calls f n times at once and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
