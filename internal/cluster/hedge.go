package cluster

import (
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
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
func (r *reading) hedged(s *watch.Shard, standIn *peer.Peer) (redis.Cmder, error) {
	first := r.ask(s.Master, false)
	delay := time.NewTimer(r.client.cfg.HedgeDelay)
	defer delay.Stop()
	select {
	case <-first.Done():
		if spoken(first.Err) {
			return r.fromMaster(first)
		}
		r.client.metrics.hedges.WithLabelValues("failed").Inc()
		return r.fromReplica(s, r.askReplica(standIn))
	case <-r.ctx.Done():
		return r.fromMaster(first)
	case <-delay.C:
	}
	// The budget is for a master that answers others: one that answers nobody has no load to be doubled.
	if s.Master.Silence() < r.client.cfg.HedgeDelay && !r.client.hedges.take() {
		r.client.metrics.hedges.WithLabelValues("denied").Inc()
		return r.fromMaster(first)
	}
	r.client.metrics.hedges.WithLabelValues("slow").Inc()
	return r.race(s, first, r.askReplica(standIn))
}

// race returns the first answer that is one, of the master and its replica. A replica's for want of a key gives way to its
// master's, who may have begun to move the slot elsewhere: as long as that is well, it will answer.
func (r *reading) race(s *watch.Shard, first, second *peer.Attempt) (redis.Cmder, error) {
	for {
		changed := r.client.watch.Changed()
		replica := second.Done()
		if isDone(second) {
			switch {
			case transient(second.Err):
				return r.fromMaster(first)
			case !mayLack(second) || s.Master.State() != peer.Well:
				first.Abandon()
				return r.fromReplica(s, second)
			}
			r.lacks(s, second)
			replica = nil // until the master answers, or something is wrong with it
		}
		select {
		case <-first.Done():
			if !spoken(first.Err) {
				return r.fromReplica(s, second)
			}
			second.Abandon()
			return r.fromMaster(first)
		case <-replica:
		case <-changed:
		case <-r.ctx.Done():
			second.Abandon()
			return r.fromMaster(first)
		}
	}
}

func isDone(a *peer.Attempt) bool {
	select {
	case <-a.Done():
		return true
	default:
		return false
	}
}

// spoken reports whether a master has answered, or said that the answer is to be had elsewhere, where its replica must not
// be asked: that does not know that the slot leaves.
func spoken(err error) bool {
	return !transient(err) || peer.IsRedirect(err) || peer.IsKeyElsewhere(err)
}
