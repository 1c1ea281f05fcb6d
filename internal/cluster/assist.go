package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Assisted failover. Redis waits for the node timeout, and for masters to agree, before a replica stands for election.
// The assistant ends that waiting for a master that is silent: it asks the replica to take over, first by agreement with
// its master, which loses nothing if the master lives, and then without. The election still needs the majority of
// masters: Redis decides.
const (
	assistJitter = 20 * time.Millisecond  // at most, so that several instances seldom ask at once; no harm if they do
	plainLimit   = 100 * time.Millisecond // for the hand-over by agreement (seen: 12 ms, and 20 under load); then the replica cannot reach its master either
	forceLimit   = 500 * time.Millisecond // for the election (seen: 25 to 80 ms); then it is left to Redis
	settleTime   = time.Minute            // in which a shard is asked once at most, and not at all after it moved
	pongSlack    = 30 * time.Millisecond  // between our clock and a node's account of its pongs
)

// Evidence is what speaks for and against asking a replica to take over.
type evidence struct {
	wasWell  bool          // the master has answered this instance before
	silence  time.Duration // for how long the master has owed an answer
	replica  bool          // its replica answers, and was in step when the master was last well
	majority bool          // a majority of masters answers
	quiet    time.Duration // since the shard last moved, or was asked to
	watched  bool          // for long enough to know of every election whose votes still count
	heardOf  bool          // some master has had a pong of it since it fell silent
}

// against says why not to ask for a hand-over; empty if nothing speaks against it.
func (e evidence) against(limit time.Duration) string {
	switch {
	case !e.wasWell:
		return "the master was never seen well"
	case e.silence < limit:
		return "the master is not silent for long enough"
	case !e.majority:
		return "no majority of masters answers"
	case !e.replica:
		return "the replica is not known to be in step"
	case e.quiet < settleTime:
		return "the shard moved a moment ago"
	case !e.watched:
		return "the shard may have moved just before this instance came"
	}
	return ""
}

// againstForce says why not to force it: others still hear the master, who may acknowledge writes to them.
func (e evidence) againstForce(limit time.Duration) string {
	if e.heardOf {
		return "a master still hears of it"
	}
	e.quiet = settleTime // our own request is what moved it
	return e.against(limit)
}

// An assistant asks replicas to take over.
type assistant struct {
	watch *watcher
	limit time.Duration // of a master's silence

	mu   sync.Mutex
	last map[string]time.Time // when a shard was last asked; guarded by mu
	busy map[string]bool      // shards being asked; guarded by mu
}

func newAssistant(w *watcher, limit time.Duration) *assistant {
	return &assistant{watch: w, limit: limit, last: map[string]time.Time{}, busy: map[string]bool{}}
}

// consider looks at every shard, and asks where all conditions are met.
func (a *assistant) consider(ctx context.Context, running *sync.WaitGroup) {
	t := a.watch.topology.Load()
	if t == nil {
		return
	}
	for _, p := range t.shards {
		if p.master.pulse.silence() < a.limit {
			continue
		}
		if e, replica := a.gather(t, p); e.against(a.limit) == "" && a.begin(p) {
			running.Go(func() {
				defer a.end(p)
				a.help(ctx, p, replica)
			})
		}
	}
}

func (a *assistant) begin(p *placement) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[p.name] {
		return false
	}
	a.busy[p.name] = true
	return true
}

func (a *assistant) end(p *placement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, p.name)
}

// gather collects the evidence, and the replica that would take over.
func (a *assistant) gather(t *topology, p *placement) (evidence, *node) {
	w, now := a.watch, time.Now()
	replica := w.standIn(p)
	e := evidence{silence: p.master.pulse.silence(), replica: replica != nil, quiet: now.Sub(a.lastAsked(p))}
	if moved := p.lastMoved(); !moved.IsZero() {
		e.quiet = min(e.quiet, now.Sub(moved))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.wasWell = !w.checkupOf(p.master).last.at.IsZero()
	e.watched = now.Sub(w.since) >= votesLast(w.checkupOf(p.master).last.nodeTimeout)
	answering := 0
	for _, m := range t.shards {
		said := w.checkupOf(m.master).last
		if m == p || said.at.IsZero() || now.Sub(said.asked) > evidenceLasts {
			continue
		}
		answering++
		line, ok := said.view.Node(p.info.ID)
		if pong := said.asked.Add(-said.now.Sub(line.Pong)); ok && pong.After(now.Add(-e.silence+pongSlack)) {
			e.heardOf = true
		}
	}
	e.majority = answering > len(t.shards)/2
	return e, replica
}

func (a *assistant) lastAsked(p *placement) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[p.name]
}

// help goes up the ladder: a random delay and a second look, then the plain request, then the forced one.
func (a *assistant) help(ctx context.Context, p *placement, replica *node) {
	if !sleep(ctx, rand.N(assistJitter)) {
		return
	}
	if e, now := a.gather(a.watch.topology.Load(), p); e.against(a.limit) != "" || now != replica || !a.stillMaster(p) {
		return
	}
	a.mu.Lock()
	a.last[p.name] = time.Now()
	a.mu.Unlock()

	a.tell(FailoverAsked, p, replica, "plain", fmt.Sprintf("silent for %s: asked %%s to take over from %%s by agreement", p.master.pulse.silence().Round(time.Millisecond)))
	err := replica.questions.ClusterFailover(ctx).Err()
	if err == nil && a.tookOver(ctx, p, replica, plainLimit) {
		return
	}
	// A replica that knows that its link is down refuses at once, and says so.
	if e, now := a.gather(a.watch.topology.Load(), p); e.againstForce(a.limit) != "" || now != replica || !a.stillMaster(p) {
		return
	}
	a.tell(FailoverForced, p, replica, "force", "no agreement with its master: asked %s to take over from %s by election")
	if err := replica.questions.Do(ctx, "CLUSTER", "FAILOVER", "FORCE").Err(); err == nil {
		a.tookOver(ctx, p, replica, forceLimit)
	}
}

func (a *assistant) stillMaster(p *placement) bool {
	now := a.watch.topology.Load().mastered(p.master)
	return now != nil && now.name == p.name
}

// tookOver asks the replica until the topology shows it as master, or the limit has passed.
func (a *assistant) tookOver(ctx context.Context, p *placement, replica *node, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); {
		a.watch.ask(ctx, replica)
		if now := a.watch.topology.Load().mastered(replica); now != nil && now.name == p.name {
			return true
		}
		if !sleep(ctx, heartbeat/2) {
			return false
		}
	}
	return false
}

// tell tells of a step; text names the replica and its master.
func (a *assistant) tell(what EventType, p *placement, replica *node, step, text string) {
	a.watch.client.metrics.assists.WithLabelValues(step).Inc()
	who := a.watch.lineOf(replica)
	a.watch.events.add(Event{Type: what, Node: who.Name(), VM: who.VM(), Shard: p.name, Text: fmt.Sprintf(text, who.Name(), p.info.Name())})
}

// sleep waits unless the context ends.
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
