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

// Embedded is a one-node cluster in the process, with a clock that only the test moves.
type Embedded struct {
	*miniredis.Miniredis

	clock sync.Mutex
	now   time.Time // guarded by clock

	log      sync.Mutex // apart from clock: the hook below runs under miniredis' own lock, which Advance takes
	commands []string   // what was executed, in order, without the connections' own set-up; guarded by log
}

// StartEmbedded starts one that ends with the test.
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

// Advance moves the clock. Keys whose time has come expire.
func (e *Embedded) Advance(d time.Duration) {
	e.clock.Lock()
	defer e.clock.Unlock()
	e.now = e.now.Add(d)
	e.SetTime(e.now)
}

// Now is what the clock shows.
func (e *Embedded) Now() time.Time {
	e.clock.Lock()
	defer e.clock.Unlock()
	return e.now
}

// Commands returns the commands executed since the last call, those inside scripts included.
func (e *Embedded) Commands() []string {
	e.log.Lock()
	defer e.log.Unlock()
	c := e.commands
	e.commands = nil
	return c
}

// Client connects to it, with config's other fields as they are.
func (e *Embedded) Client(t testing.TB, config cluster.Config) *cluster.Client {
	t.Helper()
	config.Addrs = []string{e.Addr()}
	c := cluster.New(config)
	t.Cleanup(func() { c.Close() })
	return c
}
