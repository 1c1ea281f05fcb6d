package polltest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/polltest"
)

// A recorder is a test that keeps how it failed.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(r) // Eventually must not go on
}

// eventually returns how the test failed, or nothing.
func eventually(t *testing.T, what string, holds func() bool) (failure string) {
	r := &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != any(r) {
			panic(v)
		}
		failure = r.failure
	}()
	polltest.Eventually(r, what, holds)
	return ""
}

func TestEventually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, polls := time.Now(), 0
		if failure := eventually(t, "a second has passed", func() bool { polls++; return time.Since(began) >= time.Second }); failure != "" {
			t.Error(failure)
		}
		if took := time.Since(began); took != time.Second || polls != 101 {
			t.Errorf("returned after %s and %d polls", took, polls)
		}
		if failure := eventually(t, "pigs fly", func() bool { return false }); failure != "not within 1m30s: pigs fly" {
			t.Errorf("failed with %q", failure)
		}
	})
}
