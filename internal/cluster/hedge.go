package cluster

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// The hedge budget.
const (
	hedgePrice  = 10 // reads that earn one hedge
	hedgeSaving = 64 // hedges that can be saved up
)

// A budget limits hedges to a tenth of the reads, so that hedging cannot double the load of a cluster that is slow
// because of its load. The zero value is an empty budget.
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

// hedged asks the master, and asks the stand-in too if the master fails or does not answer within the hedge delay. The
// lease that this takes is asked for a little earlier.
func (r *reading) hedged(s *watch.Shard) (redis.Cmder, error) {
	first := r.ask(s.Master, false)
	if s.Master.State() == peer.Well {
		delay := r.client.cfg.HedgeDelay
		early := delay * 3 / 4
		if !r.over(first, r.client.late.after(early)) && s.HasCandidate() {
			s.Want()
			timer := time.NewTimer(delay - early)
			r.over(first, timer.C)
			timer.Stop()
		}
	}
	for {
		changed := r.client.watch.Changed()
		ended := first.IsDone() // looked at once: it may end at any time
		if r.ctx.Err() != nil || ended && conclusive(first.Err) {
			return r.fromMaster(first)
		}
		standIn, ok := s.StandIn()
		switch {
		case ended && ok:
			r.client.metrics.hedges.WithLabelValues("failed").Inc()
			return r.fromReplica(s, r.askReplica(standIn))
		case ended:
			s.Want()
			return nil, first.Err
		case ok && r.mayHedge(s):
			r.client.metrics.hedges.WithLabelValues("slow").Inc()
			return r.race(s, first, r.askReplica(standIn))
		case ok:
			r.client.metrics.hedges.WithLabelValues("denied").Inc()
			return r.fromMaster(first)
		}
		select {
		case <-first.Done():
		case <-changed:
		case <-r.ctx.Done():
		}
	}
}

// over waits for an attempt, and reports whether it ended before it was late. That is soon: the context, which would need a timer, has no
// say in it.
func (r *reading) over(a *peer.Attempt, late <-chan time.Time) bool {
	select {
	case <-a.Done():
		return true
	case <-late:
		return false
	}
}

// A lateness tells reads that they are late. Reads that begin together share one timer: each for itself would make one that hardly
// ever fires. The zero value is ready to use.
type lateness struct{ newest atomic.Pointer[deadline] }

// A deadline is what some reads share.
type deadline struct {
	began  time.Time
	within time.Duration
	passed chan time.Time // closed when it has passed
}

// after returns a channel that is closed when so much time has passed, or an eighth less.
func (l *lateness) after(within time.Duration) <-chan time.Time {
	now := time.Now()
	if d := l.newest.Load(); d != nil && d.within == within && now.Sub(d.began) < within/8 {
		return d.passed
	}
	d := &deadline{now, within, make(chan time.Time)}
	time.AfterFunc(within, func() { close(d.passed) })
	l.newest.Store(d) // if several come at once, one of them is shared from now on
	return d.passed
}

// mayHedge reports whether a second node may be asked. The budget applies only if the master answers other commands. A
// silent master is not slow because of its load.
func (r *reading) mayHedge(s *watch.Shard) bool {
	return s.Master.Silence() >= r.client.cfg.HedgeDelay || s.Master.State() != peer.Well || r.client.hedges.take()
}

// race returns the first usable answer of the master and its replica. If the replica has not found a key, its answer
// yields to the master's as long as the master is well: the master may be moving the slot elsewhere.
func (r *reading) race(s *watch.Shard, first, second *peer.Attempt) (redis.Cmder, error) {
	for {
		changed := r.client.watch.Changed()
		replica := second.Done()
		if second.IsDone() {
			switch {
			case !usable(second):
				return r.fromMaster(first)
			case !mayLack(second) || s.Master.State() != peer.Well:
				first.Abandon()
				return r.fromReplica(s, second)
			}
			r.lacks(s, second)
			replica = nil // wait until the master answers or is no longer well
		}
		select {
		case <-first.Done():
			if !conclusive(first.Err) {
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

// usable reports whether a node has answered what it was asked, if only that there is no such key. An error of a replica
// does not end a read that its master may still answer.
func usable(a *peer.Attempt) bool { return a.Err == nil || errors.Is(a.Err, redis.Nil) }

// conclusive reports whether a master has answered or has redirected the read. After a redirect its replica must not be
// asked: it does not know that the slot is leaving.
func conclusive(err error) bool {
	return !transient(err) || peer.IsRedirect(err) || peer.IsKeyElsewhere(err)
}
