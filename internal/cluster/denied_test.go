package cluster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

// A user who may not run ROLE, or neither ROLE nor INFO, loses no write: INFO and WAIT tell what a replica has.
func TestWritesOfAUserWhoMayNotRunRole(t *testing.T) {
	f := startFake(t)
	c := f.client(t)
	f.noRole.Store(true)
	expect := func(key string, copies int32, within time.Duration, want error) {
		t.Helper()
		f.copies.Store(copies)
		got := write(t, c, key, "v", cluster.Replicated, within)
		if !errors.Is(got.err, want) || want == nil && got.achieved != cluster.Replicated {
			t.Errorf("%s: got %q, %v, want %v", key, got.achieved, got.err, want)
		}
	}
	expect("INFO says that the replica has it", 1, 5*time.Second, nil)
	f.none.Store(true)
	expect("INFO says that it lacks it", 0, 2*time.Second, cluster.ErrOutcomeUnknown)
	f.noInfo.Store(true)
	expect("WAIT counts the replica", 1, 5*time.Second, nil)
	expect("WAIT counts none", 0, 2*time.Second, cluster.ErrOutcomeUnknown)
}
