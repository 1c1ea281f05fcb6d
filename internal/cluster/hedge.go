package cluster

import "sync/atomic"

// The hedge budget: one hedge for ten reads, and so many saved up at most.
const (
	hedgePrice  = 10
	hedgeSaving = 64
)

// A budget lets hedges through as long as they are few against the reads: they cannot double the load of a cluster that
// is slow because it is loaded. The zero value is an empty one.
type budget struct{ saved atomic.Int64 } // in reads

func (b *budget) earn() {
	if saved := b.saved.Load(); saved < hedgePrice*hedgeSaving {
		b.saved.CompareAndSwap(saved, saved+1) // a lost race loses a tenth of a hedge
	}
}

// take reports whether there is budget for one hedge, and spends it.
func (b *budget) take() bool {
	for {
		saved := b.saved.Load()
		if saved < hedgePrice {
			return false
		}
		if b.saved.CompareAndSwap(saved, saved-hedgePrice) {
			return true
		}
	}
}
