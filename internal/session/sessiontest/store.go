// Package sessiontest holds the specification of a session.Store as tests.
package sessiontest

import (
	"context"
	"errors"
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
	Second  session.Store                       // another instance on the same cluster, for races
	Advance func(t *testing.T, d time.Duration) // returns when at least d has passed for the store
}

// Tenant makes a tenant with [Policy].
func Tenant(t testing.TB, name string) *session.Tenant {
	t.Helper()
	tenant, err := session.NewTenant(name, Policy, nil)
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

// cases is the specification, one rule per line.
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
	{"upsert obeys its guard and brings nothing back", upsertRefuses},
	{"a forgetting delete leaves the ID free", deleteForgets},
	{"a write repeated under its key takes effect once", writeKeys},
	{"a key of another write with another body is refused", keyOfAnotherBody},
	{"a key for writes to two sessions stands for two writes", keyOfTwoSessions},
	{"a user's sessions are listed, the oldest first, by page", userList},
	{"a page holds no other user's and no other tenant's sessions", userListIsOwn},
	{"the dead leave the list by themselves", deadLeaveList},
	{"whoever lives on stays in the list", livingStayInList},
	{"one of a user's sessions is revoked by its handle", revokeByHandle},
	{"all of a user's sessions are revoked but one", revokeAll},
	{"none is revoked if the one to spare is not the user's", revokeAllButAnothers},
	{"a user at the limit gets no new session: the create is denied", limitDenies},
	{"a user at the limit gets a new session: the oldest is revoked", limitEvicts},
	{"racing creates never exceed the limit", racingLimit},
	{"sessions that have ended do not count for the limit", limitForgetsEnded},
	{"a session that is used counts for the limit as long as it lives", limitKeepsUsed},
	{"a user above a limit that was lowered comes down to it", limitWasLowered},
	{"a user's sessions are listed and revoked however many they are", manyOfOneUser},
	{"no session escapes the revocation of all by a rotation", racingRevokeAll},
	{"rotation carries everything over to a new ID", rotateCarries},
	{"an old ID stands for the new within the grace", oldIDFollows},
	{"racing rotations get the same successor", racingRotations},
	{"rotations of a chain's old and new IDs all get to its end", racingChain},
	{"an old ID used after its grace revokes the session", reuseRevokes},
	{"an ID from before a rotation cannot be created again", rotatedIsTaken},
	{"a rotation with an ID from before one obeys its guard", guardedLateRotation},
	{"a forgetting delete frees the ID from before a rotation too", forgetRotated},
	{"a rotation without grace leaves the old ID dead, without reuse until the new one was used", rotateAtOnce},
	{"an old ID leads to a successor that nobody has used, after its grace too", unusedSuccessor},
	{"a read or a write of the successor makes the old ID's late use reuse", usedSuccessor},
	{"reuse is seen over a rotation without grace", reuseOverNoGrace},
	{"reuse is seen as long as the session lives, if its life was prolonged too", reuseAfterProlonging},
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
	{"TTLs that the policy does not allow are refused", refusedTTLs},
	{"content that the policy does not allow is refused", refusedContent},
	{"a write reports the durability it achieved, a read none", reportsDurability},
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
	s, err := r.Store.Create(r.ctx, nil, ref, n, "")
	if err != nil {
		r.Fatalf("create: %v", err)
	}
	return created{s, ref}
}

// get reads without sliding, so that it does not disturb cases about time.
func (r *run) get(ref session.Ref) session.Session {
	r.Helper()
	s, err := r.Store.Peek(r.ctx, nil, ref)
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

// store is one of the two instances: a race within one is decided in its process, one between two by Redis.
func (r *run) store(i int) session.Store {
	if i%2 == 0 {
		return r.Store
	}
	return r.Second
}

// at is the guard that admits just this version.
func at(s interface{ Stamp() session.Stamp }) session.Guard {
	return session.Guard{Set: true, AnyOf: []session.Stamp{s.Stamp()}}
}

func guarded(s interface{ Stamp() session.Stamp }) session.Write { return session.Write{Guard: at(s)} }

func data(text string) session.Content { return session.Content{Data: jsontext.Value(text)} }

// races is how often a race of 200 callers is run.
const races = 3

// together calls f n times at once and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
