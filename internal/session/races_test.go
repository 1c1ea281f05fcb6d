package session_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// A write that is sent again long after it was applied also takes effect once: a rotation whose grace is over by then, a
// revocation after which the user has logged in again, and the release of a lock that another holder has taken since.
func TestLateRetries(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	e, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	other := newStore(t, e.Client(t, cluster.Config{}), e.Now)
	ctx, tenant := t.Context(), sessiontest.Tenant(t, "acme")
	create := func(ref session.Ref, user string) {
		t.Helper()
		if _, err := other.Create(ctx, nil, ref, session.New{User: user}, ""); err != nil {
			t.Fatal(err)
		}
	}
	old, warm := tenant.NewRef(""), tenant.NewRef("")
	create(old, "")
	create(warm, "")
	if _, _, err := store.Rotate(ctx, nil, warm, session.Rotation{Grace: time.Second}, session.Write{}); err != nil { // the node learns the script
		t.Fatal(err)
	}
	lossy.OnLoss = func() { e.Advance(2 * time.Second) }
	lossy.LoseNext(1)
	_, next, err := store.Rotate(ctx, nil, old, session.Rotation{Grace: time.Second}, session.Write{})
	if err != nil || !lossy.Lost() {
		t.Fatalf("rotate: %v", err)
	}
	if _, err := store.Peek(ctx, nil, next); err != nil {
		t.Errorf("the rotation revoked its own session: %v", err)
	}

	again := tenant.NewRef("alice")
	create(tenant.NewRef("alice"), "alice")
	if n, err := store.RevokeUser(ctx, nil, tenant, "alice", session.Handle{}); err != nil || n != 1 {
		t.Fatalf("revoked %d, %v", n, err)
	}
	create(tenant.NewRef("alice"), "alice")
	lossy.OnLoss = func() { create(again, "alice") }
	lossy.LoseNext(1)
	if n, err := store.RevokeUser(ctx, nil, tenant, "alice", session.Handle{}); err != nil || n != 1 || !lossy.Lost() {
		t.Errorf("revoked %d, %v", n, err)
	}
	if _, err := store.Peek(ctx, nil, again); err != nil {
		t.Errorf("the retry revoked a later session: %v", err)
	}

	lock, err := tenant.ParseRef("lock.0123456789.0123456789")
	if err != nil {
		t.Fatal(err)
	}
	create(lock, "")
	if err := store.Delete(ctx, nil, tenant.NewRef(""), session.Deletion{}); err != nil { // the node learns the script
		t.Fatal(err)
	}
	lossy.OnLoss = func() { create(lock, "") }
	lossy.LoseNext(1)
	if err := store.Delete(ctx, nil, lock, session.Deletion{Forget: true}); err != nil || !lossy.Lost() {
		t.Fatal(err)
	}
	if _, err := store.Peek(ctx, nil, lock); err != nil {
		t.Errorf("the retry released the next holder's lock: %v", err)
	}
}

// A write that comes in between the read and the write of a patch, a rotation or a login is not lost.
func TestWriteInBetween(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	e, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	other := newStore(t, e.Client(t, cluster.Config{}), e.Now)
	ctx, tenant := t.Context(), sessiontest.Tenant(t, "acme")
	for name, op := range map[string]func(session.Ref) (session.Ref, error){
		"patch": func(ref session.Ref) (session.Ref, error) {
			_, err := store.Patch(ctx, nil, ref, session.Patch{Meta: jsontext.Value(`{"a":1}`)}, session.Write{})
			return ref, err
		},
		"rotation": func(ref session.Ref) (session.Ref, error) {
			_, next, err := store.Rotate(ctx, nil, ref, session.Rotation{Grace: time.Second}, session.Write{})
			return next, err
		},
		"rotation without grace": func(ref session.Ref) (session.Ref, error) {
			_, next, err := store.Rotate(ctx, nil, ref, session.Rotation{}, session.Write{})
			return next, err
		},
		"login": func(ref session.Ref) (session.Ref, error) {
			_, next, err := store.Rotate(ctx, nil, ref, session.Rotation{User: "alice"}, session.Write{})
			return next, err
		},
	} {
		ref := tenant.NewRef("")
		if _, err := other.Create(ctx, nil, ref, session.New{Content: session.Content{Data: jsontext.Value(`"old"`)}}, ""); err != nil {
			t.Fatal(err)
		}
		lossy.BeforeNext(func() {
			if _, err := other.Replace(ctx, nil, ref, session.Content{Data: jsontext.Value(`"new"`)}, session.TTL{}, session.Write{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		end, err := op(ref)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := other.Peek(ctx, nil, end); err != nil || string(got.Data) != `"new"` {
			t.Errorf("%s: got %s, %v", name, got.Data, err)
		}
	}
}

// A touch that is queued before a rotation and runs after its grace is not reuse: no caller used the old ID.
func TestLateTouchIsNoReuse(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	tenant := sessiontest.Tenant(t, "acme")
	old := tenant.NewRef("")
	if _, err := store.Create(t.Context(), nil, old, session.New{}, ""); err != nil {
		t.Fatal(err)
	}
	e.Advance(10 * time.Minute)
	_, next, err := store.Rotate(t.Context(), nil, old, session.Rotation{Grace: time.Second}, session.Write{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Touch(t.Context(), nil, next, session.TTL{}, session.Guard{}); err != nil {
		t.Fatal(err)
	}
	e.Advance(2 * time.Second)
	session.TouchNow(store, old)
	if _, err := store.Peek(t.Context(), nil, next); err != nil {
		t.Errorf("a late touch revoked the session: %v", err)
	}
}

// A late rotation finds the successor of an earlier one. If that is rotated too before it is confirmed, the late rotation
// finds the next one.
func TestRotationInBetween(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	e, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	other := newStore(t, e.Client(t, cluster.Config{}), e.Now)
	first := sessiontest.Tenant(t, "acme").NewRef("")
	if _, err := other.Create(t.Context(), nil, first, session.New{}, ""); err != nil {
		t.Fatal(err)
	}
	rotate := func(s session.Store, ref session.Ref) session.Ref {
		t.Helper()
		_, next, err := s.Rotate(t.Context(), nil, ref, session.Rotation{Grace: session.DefaultGrace}, session.Write{})
		if err != nil {
			t.Fatalf("rotate: %v", err)
		}
		return next
	}
	second := rotate(other, first)
	var third session.Ref
	lossy.BeforeNext(func() { third = rotate(other, second) })
	if late := rotate(store, first); late != third {
		t.Errorf("the late rotation got %s, want %s", late, third)
	}
}

// A rotation whose answer is lost is sent again. By then, others have found its successor by the old ID and rotated that: the
// repetition gets the end of the chain, even if the grace is over.
func TestRotationOfASuccessorInBetween(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	e, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	other := newStore(t, e.Client(t, cluster.Config{}), e.Now)
	tenant := sessiontest.Tenant(t, "acme")
	rotate := func(s session.Store, ref session.Ref) session.Ref {
		t.Helper()
		_, next, err := s.Rotate(t.Context(), nil, ref, session.Rotation{Grace: time.Second}, session.Write{})
		if err != nil {
			t.Fatalf("rotate: %v", err)
		}
		return next
	}
	create := func() session.Ref {
		t.Helper()
		ref := tenant.NewRef("")
		if _, err := other.Create(t.Context(), nil, ref, session.New{}, ""); err != nil {
			t.Fatal(err)
		}
		return ref
	}
	rotate(store, create()) // the node learns the script
	first := create()
	var third session.Ref
	lossy.OnLoss = func() {
		second := rotate(other, first)
		e.Advance(700 * time.Millisecond)
		third = rotate(other, second)
		e.Advance(500 * time.Millisecond)
	}
	lossy.LoseNext(1)
	if got := rotate(store, first); got != third || !lossy.Lost() {
		t.Errorf("the repetition got %s, want %s", got, third)
	}
}
