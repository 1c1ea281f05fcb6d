package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// The sessions of a user lie in one slot. While it moves, its keys are spread over two masters. Each session can be read, but
// lists and revocations of all of them wait for the end of the move, wherever the index is.
func TestUserInASlotOnTheMoveOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	store, tenant := newStore(t, real.Client(t), time.Now), sessiontest.Tenant(t, "moving")
	user, slot := userBetween(t, real, tenant, 5461, 10922) // redis-2's
	limited := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	var refs []session.Ref
	for range 4 {
		ref := tenant.NewRef(user)
		if _, err := store.Create(limited(10*time.Second), nil, ref, session.New{User: user}, ""); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	waits := func(stage string) {
		t.Helper()
		const moment = 300 * time.Millisecond
		if page, _, err := store.ListUser(limited(moment), nil, tenant, user, "", 10); !errors.Is(err, cluster.ErrUnavailable) {
			t.Errorf("%s: listed %d sessions of 4, %v", stage, len(page), err)
		}
		if n, err := store.RevokeUser(limited(moment), nil, tenant, user, session.Handle{}); !errors.Is(err, cluster.ErrUnavailable) && !errors.Is(err, cluster.ErrOutcomeUnknown) { // where its time ends in an attempt
			t.Errorf("%s: revoked %d, %v", stage, n, err)
		}
		for _, ref := range refs {
			if got, err := store.Peek(limited(10*time.Second), nil, ref); err != nil || got.User != user {
				t.Errorf("%s: read %+v, %v", stage, got, err)
			}
		}
	}

	move := real.BeginMove(t, "redis-2", "redis-3", slot)
	var index string
	var sessions []string
	for _, key := range move.Keys(t) {
		if strings.Contains(key, ":u:") {
			index = key
		} else {
			sessions = append(sessions, key)
		}
	}
	move.Migrate(t, sessions[0])
	waits("a session has moved")
	move.Migrate(t, index)
	waits("the index has moved too")
	move.Migrate(t, sessions[1:]...)
	move.End(t)
	if page, _, err := store.ListUser(limited(10*time.Second), nil, tenant, user, "", 10); len(page) != 4 || err != nil {
		t.Errorf("after the move: listed %d sessions of 4, %v", len(page), err)
	}
}

// userBetween finds a user whose slot is from first to last, and returns both.
func userBetween(t *testing.T, real *clustertest.Real, tenant *session.Tenant, first, last int) (user string, slot int) {
	for i := 0; ; i++ {
		user = fmt.Sprint("user-", i)
		tag := tenant.NewRef(user).Handle.String()[:3]
		if slot = real.Slot(t, "{"+tag+"}"); first <= slot && slot <= last {
			return user, slot
		}
	}
}
