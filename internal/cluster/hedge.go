package cluster

import (
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

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

// hedged asks the master, and the stand-in too when the master fails or takes too long.
func (r *reading) hedged(p *placement, where int, standIn *node) (redis.Cmder, error) {
	master := p.master
	first := r.ask(master, false, false)
	if standIn == nil {
		return r.value(first)
	}
	delay := time.NewTimer(r.client.cfg.HedgeDelay)
	defer delay.Stop()
	select {
	case <-first.done:
		if spoken(first.err) {
			return r.value(first)
		}
		r.client.metrics.hedges.WithLabelValues("failed").Inc()
		return r.fromReplica(p, where, r.ask(standIn, true, false))
	case <-r.ctx.Done():
		return r.value(first)
	case <-delay.C:
	}
	// The budget is for a master that answers others: one that answers nobody has no load to be doubled.
	if master.pulse.silence() < r.client.cfg.HedgeDelay && !r.client.hedges.take() {
		r.client.metrics.hedges.WithLabelValues("denied").Inc()
		return r.value(first)
	}
	r.client.metrics.hedges.WithLabelValues("slow").Inc()
	return r.race(p, where, first, r.ask(standIn, true, false))
}

// race returns the first answer that is one. A replica's for want of a key gives way to its master's, who may have begun
// to move the slot elsewhere: as long as that is well, it will answer.
func (r *reading) race(p *placement, where int, first, second *attempt) (redis.Cmder, error) {
	replica := second.done
	for {
		changed := r.client.watch.changed()
		select {
		case <-second.done:
			if transient(second.err) {
				return r.value(first)
			}
			if !second.mayLack() || p.master.state() != well {
				first.abandon()
				return r.fromReplica(p, where, second)
			}
			r.lacks(p, second)
			replica = nil // until the master answers, or something is wrong with it
		default:
		}
		select {
		case <-first.done:
			if spoken(first.err) {
				second.abandon()
				return r.value(first)
			}
			return r.fromReplica(p, where, second)
		case <-replica:
		case <-changed:
		case <-r.ctx.Done():
			second.abandon()
			return r.value(first)
		}
	}
}

// spoken reports whether a master has answered, or said that the answer is to be had elsewhere, where its replica must not
// be asked: that does not know that the slot leaves.
func spoken(err error) bool {
	return !transient(err) || isRedirect(err) || redis.HasErrorPrefix(err, keyElsewhere)
}
