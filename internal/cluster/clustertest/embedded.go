// Package clustertest runs clusters for tests: an embedded one in the process, and a real one in containers.
package clustertest

import (
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessiond/sessiond/internal/cluster"
)

// Embedded is a cluster of one node in this process, with a clock that only the test moves.
type Embedded struct {
	*miniredis.Miniredis

	clock sync.Mutex
	now   time.Time // guarded by clock

	log      sync.Mutex // not clock: the hook below runs under miniredis' own lock, which Advance takes
	commands []string   // the commands executed, in order, except those that set up connections; guarded by log
}

// StartEmbedded starts a cluster that ends with the test.
func StartEmbedded(t testing.TB) *Embedded {
	t.Helper()
	e := &Embedded{Miniredis: miniredis.RunT(t), now: time.Now().UTC()}
	e.SetTime(e.now)
	e.ClockTTL(true)
	e.Server().SetPreHook(func(_ *server.Peer, cmd string, _ ...string) bool {
		switch cmd {
		case "HELLO", "CLIENT", "CLUSTER", "COMMAND", "READONLY", "INFO", "CONFIG", "PING":
		default:
			e.log.Lock()
			defer e.log.Unlock()
			e.commands = append(e.commands, cmd)
		}
		return false
	})
	return e
}

// Advance moves the clock forward. Keys whose deadline has passed expire.
func (e *Embedded) Advance(d time.Duration) {
	e.clock.Lock()
	defer e.clock.Unlock()
	e.now = e.now.Add(d)
	e.SetTime(e.now)
}

// Now returns the time of the clock.
func (e *Embedded) Now() time.Time {
	e.clock.Lock()
	defer e.clock.Unlock()
	return e.now
}

// Commands returns the commands executed since the last call, including those inside scripts.
func (e *Embedded) Commands() []string {
	e.log.Lock()
	defer e.log.Unlock()
	c := e.commands
	e.commands = nil
	return c
}

// Client makes a client of the cluster that is closed with the test. It sets config.Addrs.
func (e *Embedded) Client(t testing.TB, config cluster.Config) *cluster.Client {
	t.Helper()
	config.Addrs = []string{e.Addr()}
	c := cluster.New(config)
	t.Cleanup(func() { c.Close() })
	return c
}
