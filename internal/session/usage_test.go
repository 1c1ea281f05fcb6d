package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// Where no census can be taken, what was created must not count for ever.
func TestUsageIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUsages(time.Minute)
		known := func() bool {
			_, known := u.of("acme")
			return known
		}
		u.add("acme", New{})
		time.Sleep(3 * time.Minute)
		if !known() {
			t.Error("before the first census is late, nothing is known")
		}
		time.Sleep(time.Nanosecond)
		if known() {
			t.Error("without a census, something is known")
		}
		u.estimated(u.begin(), nil)
		if got, _ := u.of("acme"); !known() || got.Sessions != 0 {
			t.Errorf("after a census: %+v", got)
		}
	})
}

// What a tenant uses for sure is little of an estimate that a few picks have made, and all of one that is no estimate.
func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		picks, all int
		want       int64
	}{{384, 384, 384000}, {192, 384, 172404}, {4, 384, 20}, {3, 384, 0}, {1, 384, 0}} {
		var tl tally
		for range c.picks {
			tl.add(1000, 1)
		}
		if got := tl.atLeast(c.all); got.Sessions != c.want || got.Bytes != c.want {
			t.Errorf("%d picks of %d: %+v, want %d", c.picks, c.all, got, c.want)
		}
	}
}
