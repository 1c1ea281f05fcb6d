package session_test

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// The same specification as on the embedded Redis, on three masters and three replicas.
func TestStoreOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	store := newStore(t, real.Client(t), time.Now)
	sessiontest.TestStore(t, func(t *testing.T) sessiontest.Env {
		return sessiontest.Env{
			Store:   store,
			Advance: func(t *testing.T, d time.Duration) { real.WaitFor(t, d) },
		}
	})
}
