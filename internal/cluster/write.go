package cluster

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// A Call holds the keys and arguments for one run of a script.
type Call struct {
	Keys []string
	Args []any
}

// A Reply is the result of one [Client.Run].
type Reply struct {
	Reply []string
	Err   error
}

// RunMany is [Client.Run] for many calls of a script at once. The replies are in the order of the calls.
func (c *Client) RunMany(ctx context.Context, t *Terms, s *Script, calls []Call) []Reply {
	replies := make([]Reply, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() { replies[i].Reply, replies[i].Err = c.Run(ctx, t, s, call.Keys, call.Args...) })
	}
	wg.Wait()
	return replies
}

// Run runs a script that returns an array of strings, with the durability that the terms ask for. All keys must lie in one
// slot. If a reply is lost, the script may run more than once for one call, so it must recognise its own effect. Run fails
// with ErrUnavailable, ErrOutcomeUnknown or ErrFull; any other error is a defect.
func (c *Client) Run(ctx context.Context, t *Terms, s *Script, keys []string, args ...any) ([]string, error) {
	slot := view.Slot(keys[0])
	w := writing{
		call: call{client: c, ctx: ctx, kind: "write", slot: slot, script: s, terms: t, span: startSpan(ctx, "redis write", slot)},
		keys: keys, args: args, durability: s.durability(t.durability(), c.cfg.Durability),
	}
	reply, err := w.run()
	w.span.end(err)
	return reply, err
}

// A writing is one write in progress.
type writing struct {
	call
	keys       []string
	args       []any
	durability Durability
	inDoubt    bool // an attempt may have been executed although its reply never came
}

// run tries the write until its outcome is certain or the context ends.
func (w *writing) run() ([]string, error) {
	s, err := w.client.watch.Place(w.ctx, w.slot)
	if err != nil {
		return nil, w.giveUp(err)
	}
	if !s.Admit(w.terms.owner(), w.client.cfg.MaxWrites) {
		return nil, ErrOverloaded
	}
	defer s.Leave(w.terms.owner())
	w.failed = s.Trouble
	answered, spoken, err := w.retry(w.once)
	switch {
	case err == nil:
		return answered.(*redis.Cmd).StringSlice()
	case spoken && !w.inDoubt:
		return nil, peer.Translate(err)
	}
	return nil, w.giveUp(err) // an error reply says nothing about an earlier attempt that may have been executed
}

// once sends the write to the master, if it is well.
func (w *writing) once() (redis.Cmder, error) {
	s := w.client.watch.Topology().At(w.slot)
	if s == nil {
		return nil, watch.ErrNoMaster
	}
	to := w.takeRedirect()
	if to.peer == nil {
		if s.Master.State() != peer.Well {
			return nil, watch.ErrNoMaster
		}
		to.peer = s.Master
	}
	if w.durability == Strict && !w.inDoubt && w.alone(s, to.peer) {
		return nil, errNoReplica
	}
	a := w.send(to)
	err, inDoubt := a.Wait()
	w.inDoubt = w.inDoubt || inDoubt
	if err != nil {
		return nil, err
	}
	achieved := w.achieved(a)
	if achieved == Single && w.durability == Strict {
		w.inDoubt = true
		return nil, errOneCopy
	}
	s.Served()
	w.terms.Wrote(achieved)
	w.client.metrics.durability.WithLabelValues(string(achieved)).Inc()
	return a.Cmd, nil
}

// alone reports whether the node that is to receive the write has no replica. A redirect may have led to another shard.
func (w *writing) alone(s *watch.Shard, p *peer.Peer) bool {
	if s.Master != p {
		s = w.client.watch.Topology().MasteredBy(p)
	}
	return s != nil && s.Alone()
}

// send queues the write for a node.
func (w *writing) send(to redirect) *peer.Attempt {
	a := w.attempt(w.script.command(w.ctx, w.whole, "", w.keys, w.args))
	a.Asking = to.asking
	w.span.sent(to.peer, "master")
	if w.durability == Async {
		to.peer.Write(a)
	} else {
		to.peer.Commit(a)
	}
	return a
}

// achieved returns the durability that a successful attempt has achieved.
func (w *writing) achieved(a *peer.Attempt) Durability {
	switch {
	case w.durability == Async:
		return Async
	case a.Copies > 0:
		return Replicated
	}
	return Single
}

// giveUp returns the error of a write that is given up: ErrOutcomeUnknown if an attempt is in doubt, else ErrUnavailable.
func (w *writing) giveUp(last error) error {
	if w.inDoubt {
		if !w.terms.background() {
			w.client.metrics.unknown.Inc()
		}
		return outcomeUnknown(last)
	}
	return peer.Unavailable(last)
}
