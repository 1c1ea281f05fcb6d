package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	var b budget
	if b.take() {
		t.Error("an empty budget let a hedge through")
	}
	for range hedgePrice - 1 {
		b.earn()
	}
	if b.take() {
		t.Error("a hedge was had for less than its price")
	}
	b.earn()
	if !b.take() || b.take() {
		t.Error("ten reads are worth one hedge")
	}
	for range 10 * hedgePrice * hedgeSaving {
		b.earn()
	}
	taken := 0
	for b.take() {
		taken++
	}
	if taken != hedgeSaving {
		t.Errorf("%d hedges were saved up, want %d", taken, hedgeSaving)
	}
}

func TestBudgetIsNotOverspent(t *testing.T) {
	var b budget
	b.saved.Store(hedgePrice * 7)
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if b.take() {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 7 || b.saved.Load() != 0 {
		t.Errorf("took %d hedges of 7, left %d", taken.Load(), b.saved.Load())
	}
}

// Reads that begin together learn together that they are late: each after the delay, or an eighth of it before.
func TestReadsShareATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 80 * time.Millisecond
		var l lateness
		began := time.Now()
		channels := map[<-chan time.Time]bool{}
		for range 40 {
			asked := time.Now()
			passed := l.after(delay)
			channels[passed] = true
			go func() {
				<-passed
				if took := time.Since(asked); took > delay || took < delay*7/8 {
					t.Errorf("late after %s", took)
				}
			}()
			time.Sleep(time.Millisecond)
		}
		if other := l.after(delay / 2); channels[other] {
			t.Error("another delay has the same timer")
		}
		time.Sleep(time.Until(began.Add(2 * delay)))
		if len(channels) != 4 {
			t.Errorf("%d timers for 40 ms", len(channels))
		}
	})
}
