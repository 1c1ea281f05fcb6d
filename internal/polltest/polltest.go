// Package polltest waits in tests: it polls a condition instead of sleeping.
package polltest

import (
	"testing"
	"time"
)

const (
	// limit is how long Eventually waits: longer than anything that a test waits for takes on a slow machine.
	limit = 90 * time.Second
	// interval is the time between two polls, and thus the least time in which a condition can pass unseen.
	interval = 10 * time.Millisecond
)

// Eventually returns when the condition holds, which it polls every 10 ms. It ends the test if the condition does not hold
// within 90 s; what names the condition in the failure.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for end := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
