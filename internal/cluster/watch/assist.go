package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Assisted failover. Redis waits for the node timeout, and for the masters to agree, before a replica stands for election.
// If a master is silent, the assistant shortens that wait: it asks the replica to take over, first by agreement with its
// master (CLUSTER FAILOVER), which loses nothing if the master lives, and then without it (FORCE), under a lease. The
// election still needs a majority of masters, so Redis decides.
const (
	assistJitter = 20 * time.Millisecond  // at most, so that instances seldom ask at once; it does no harm if they do
	plainLimit   = 100 * time.Millisecond // for the hand-over by agreement (seen: 12 ms, 20 ms under load); after it, the replica cannot reach its master either
	forceLimit   = 500 * time.Millisecond // for the election (seen: 25 to 80 ms); after it, failover is left to Redis
	forceTries   = 3                      // rounds for the lease, if masters answer late or do not know of an election yet
	answerLasts  = 250 * time.Millisecond // a node's word for its offset, or that it is there
)

// An evidence is what speaks for and against asking a replica to take over.
type evidence struct {
	wasWell  bool          // the master has answered this instance before
	silence  time.Duration // how long the master has owed an answer
	replica  bool          // its replica answers, and was in step when the master was last well
	furthest bool          // every other replica has answered, and none is ahead of it
	majority bool          // a majority of masters answers: without it no election can be won
	votes    time.Duration // how long Redis counts the votes of an election, see votesLast
	quiet    time.Duration // since the shard last moved, or was last asked to
	watched  bool          // this instance has watched for long enough to know every election whose votes still count
}

// against returns the reason not to ask for a hand-over; empty if there is none.
func (e evidence) against(limit time.Duration) string {
	switch {
	case !e.wasWell:
		return "the master has never been well"
	case e.silence < limit:
		return "the master has not been silent for long enough"
	case !e.majority:
		return "no majority of masters answers"
	case !e.replica:
		return "the replica is not known to be in step"
	case !e.furthest:
		return "another replica is ahead, or has not answered"
	case e.quiet < e.votes:
		return "the shard has moved recently"
	case !e.watched:
		return "the shard may have moved just before this instance started"
	}
	return ""
}

// againstForce returns the reason not to force the takeover.
func (e evidence) againstForce(limit time.Duration) string {
	e.quiet = e.votes // our own request counts as the last move
	return e.against(limit)
}

// An assistant asks replicas to take over.
type assistant struct {
	watch *Watcher
	limit time.Duration // of a master's silence

	mu   sync.Mutex
	last map[string]time.Time // when a shard was last asked; guarded by mu
	busy map[string]bool      // shards being asked; guarded by mu
}

func newAssistant(w *Watcher, limit time.Duration) *assistant {
	return &assistant{watch: w, limit: limit, last: map[string]time.Time{}, busy: map[string]bool{}}
}

// consider checks every shard, and asks the replicas of those that meet all conditions.
func (a *assistant) consider(ctx context.Context, running *sync.WaitGroup) {
	t := a.watch.Topology()
	if t == nil {
		return
	}
	for _, s := range t.Shards {
		if s.Master.Silence() < a.limit {
			continue
		}
		if e, to := a.gather(s); e.against(a.limit) == "" && a.begin(s) {
			running.Go(func() {
				defer a.end(s)
				a.help(ctx, s, to)
			})
		}
	}
}

func (a *assistant) begin(s *Shard) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[s.name] {
		return false
	}
	a.busy[s.name] = true
	return true
}

func (a *assistant) end(s *Shard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, s.name)
}

// gather returns the evidence, and the replica that would take over: of those in step the furthest.
func (a *assistant) gather(s *Shard) (evidence, candidate) {
	w, now := a.watch, time.Now()
	candidates := s.candidates(doctor.Assistance)
	e := evidence{silence: s.Master.Silence(), replica: len(candidates) > 0, quiet: now.Sub(a.lastAsked(s))}
	if moved := s.lastMoved(); !moved.IsZero() {
		e.quiet = min(e.quiet, now.Sub(moved))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.wasWell = !w.checkupOf(s.Master).last.at.IsZero()
	e.votes = votesLast(w.checkupOf(s.Master).last.NodeTimeout)
	e.watched = now.Sub(w.since) >= e.votes
	e.majority = w.othersAnswering(s, now) > len(w.Topology().Shards)/2
	if !e.replica {
		return e, candidate{}
	}
	to := slices.MaxFunc(candidates, func(x, y candidate) int {
		return cmp.Compare(w.checkupOf(x.Peer).last.Replication.Offset, w.checkupOf(y.Peer).last.Replication.Offset)
	})
	e.furthest = w.furthest(s, to.Peer, now)
	return e, to
}

// othersAnswering counts the masters of other shards that have just answered. It is called with mu held.
func (w *Watcher) othersAnswering(than *Shard, now time.Time) int {
	n := 0
	for _, s := range w.Topology().Shards {
		if s.Master != than.Master && w.checkupOf(s.Master).last.fresh(now) {
			n++
		}
	}
	return n
}

// furthest reports whether no other replica of the shard can be ahead of one: each has just answered, or has failed for
// the cluster, which would not elect it. It is called with mu held.
func (w *Watcher) furthest(s *Shard, p *peer.Peer, now time.Time) bool {
	reached := w.checkupOf(p).last.Replication.Offset
	return !slices.ContainsFunc(s.Replicas, func(r Replica) bool {
		said := w.checkupOf(r.Peer).last
		return r.Peer != p && r.Info.Health != view.Failed && (!said.fresh(now) || said.Replication.Offset > reached)
	})
}

// fresh reports whether a node's word may still be taken.
func (r received) fresh(now time.Time) bool { return !r.at.IsZero() && now.Sub(r.Asked) <= answerLasts }

func (a *assistant) lastAsked(s *Shard) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[s.name]
}

// help escalates: after a random delay and a second check, it makes the plain request, and then the forced one.
func (a *assistant) help(ctx context.Context, s *Shard, to candidate) {
	if !sleep(ctx, rand.N(assistJitter)) {
		return
	}
	if e, now := a.gather(s); e.against(a.limit) != "" || now.Peer != to.Peer || s.Replaced() {
		return
	}
	a.mu.Lock()
	a.last[s.name] = time.Now()
	a.mu.Unlock()

	done, err := a.permit(s, to.Peer, false)
	if err != nil {
		return
	}
	a.tell(FailoverAsked, s, to.Peer, "plain", fmt.Sprintf("%%[2]s has been silent for %s: asked %%[1]s to take over by agreement", s.Master.Silence().Round(time.Millisecond)))
	err = to.Questions().ClusterFailover(ctx).Err()
	done(err)
	if err == nil && a.tookOver(ctx, s, to.Peer, plainLimit) {
		return
	}
	// A replica that knows that its link is down has refused at once.
	for range forceTries {
		done, err := a.permit(s, to.Peer, true)
		if err != nil {
			return
		}
		e, now := a.gather(s) // after the permission, which may have taken its time
		if e.againstForce(a.limit) != "" || now.Peer != to.Peer || s.Replaced() {
			done(errNotCalledFor)
			return
		}
		err = a.force(ctx, s, now)
		done(err)
		if err == nil {
			a.tookOver(ctx, s, to.Peer, forceLimit)
			return
		}
		if !maySoonBeGranted(err) || !sleep(ctx, hastened) {
			return
		}
	}
}

// force asks for an election, if a lease for it is granted.
func (a *assistant) force(ctx context.Context, s *Shard, to candidate) error {
	a.watch.ask(ctx, to.Peer) // the request must reach it soon after this answer
	said := a.watch.lastOf(to.Peer)
	err := a.watch.council.Force(ctx, rights.Candidate{
		Peer: to.Peer, ID: to.id, Now: said.Now, Evidence: to.shows,
	})
	if err == nil {
		a.tell(FailoverForced, s, to.Peer, "force", "no agreement from %[2]s: asked %[1]s to take over by election")
	}
	return err
}

// maySoonBeGranted reports whether a lease was refused for a reason that passes by itself.
func maySoonBeGranted(err error) bool {
	r, ok := errors.AsType[*rights.Refusal](err)
	return ok && (r.Reason == rights.Silent || r.Reason == rights.Epoch)
}

// tookOver probes the replica until the topology shows it as master, and reports whether it did within the limit.
func (a *assistant) tookOver(ctx context.Context, s *Shard, replica *peer.Peer, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		a.watch.ask(ctx, replica)
		if now := s.placed.Load(); now != nil && now.Master == replica {
			return true
		}
		if !sleep(ctx, heartbeat/2) {
			return false
		}
	}
	return false
}

// tell counts and tells a step. The text is a format for the names of the replica (%[1]s) and its master (%[2]s).
func (a *assistant) tell(what EventType, s *Shard, replica *peer.Peer, step, text string) {
	a.watch.cfg.Metrics.asked(step)
	who := a.watch.Topology().Line(replica.Addr)
	ev := about(what, who, fmt.Sprintf(text, who.Name(), s.Info.Name()))
	ev.Shard = s.name
	a.watch.tell(ev)
}

// sleep waits, and reports false if the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
