package load

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Arrivals that start together are never later than allowed, and none is missing.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		starts, late := map[time.Time]int{}, time.Duration(0)
		report, _, _ := run(t, healthy, func(c *Config) {
			c.Rate, c.Duration, c.Mix, c.Together = Constant(2000), time.Second, Mix{Read: 1}, 2*time.Millisecond
			c.Observe = func(r Result) {
				mu.Lock()
				defer mu.Unlock()
				starts[r.Sent]++
				late = max(late, r.Sent.Sub(r.Intended))
			}
		})
		if n := report.Reads.Count; n < 1998 || n > 2000 {
			t.Errorf("%d reads, want 2000", n)
		}
		if late > 2*time.Millisecond || len(starts) > 600 {
			t.Errorf("%d starts, the latest by %s; want some 400, by 2 ms at most", len(starts), late)
		}
	})
}

func TestPoissonKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report, _, _ := run(t, healthy, func(c *Config) {
			c.Rate, c.Mix, c.Poisson = Constant(500), Mix{Read: 1}, true
		})
		if n := report.Reads.Count; n < 9500 || n > 10500 { // five standard deviations
			t.Errorf("%d reads in 20 s at 500/s", n)
		}
	})
}

// Zipf's law prefers a few keys; a uniform choice prefers none. Both reach every seat.
func TestKeys(t *testing.T) {
	for name, test := range map[string]struct {
		exponent float64
		least    int // draws of the most popular key among 10,000
		most     int
	}{"uniform": {0, 100, 160}, "Zipf": {1.2, 1500, 5000}} {
		t.Run(name, func(t *testing.T) {
			counts, top := make([]int, 100), 0
			draw := keys(rand.New(rand.NewPCG(1, 2)), len(counts), test.exponent)
			for range 10000 {
				i := draw()
				counts[i]++
				top = max(top, counts[i])
			}
			if top < test.least || top > test.most {
				t.Errorf("the most popular key was drawn %d times, want %d to %d", top, test.least, test.most)
			}
		})
	}
}

func TestOperationsFollowTheirWeights(t *testing.T) {
	pick := operations(rand.New(rand.NewPCG(1, 2)), Mix{Read: 3, Update: 1})
	counts := [ops]int{}
	for range 10000 {
		counts[pick()]++
	}
	if counts[Read] < 7200 || counts[Read] > 7800 || counts[Read]+counts[Update] != 10000 {
		t.Errorf("operations were picked %v times, want three reads to an update and nothing else", counts)
	}
}
