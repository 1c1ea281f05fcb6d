package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
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
