package cluster

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Script is a Lua script, run by its digest (EVALSHA) and sent whole (EVAL) to a node that does not hold it yet.
type Script struct {
	source, sha string
	loose, wide bool
}

// NewScript prepares a script from its source.
//
// Where it acknowledges something, it must write something, even if it finds all done already: only behind a write on
// the same connection does WAIT prove that the replica has what the script saw.
func NewScript(source string) *Script {
	digest := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(digest[:])}
}

// Loosely returns the script with another default: it waits for no replica unless the request asks for it.
func (s *Script) Loosely() *Script {
	other := *s
	other.loose = true
	return &other
}

// Widely returns the script as one that looks at more keys of its slot than it is given. While a slot is on the move they
// may be in two places: where the slot leaves Redis fails such a script, but where it arrives (ASKING) it lets the script
// take what has not come yet for absent. So a wide script waits for the end of the move instead of following it there.
func (s *Script) Widely() *Script {
	other := *s
	other.wide = true
	return &other
}

// command is the call of the script, by its digest or whole. The suffix is that of the two commands' names.
func (s *Script) command(ctx context.Context, whole bool, suffix string, keys []string, args []any) *redis.Cmd {
	name, body := "evalsha", s.sha
	if whole {
		name, body = "eval", s.source
	}
	call := make([]any, 0, 3+len(keys)+len(args))
	call = append(call, name+suffix, body, len(keys))
	for _, k := range keys {
		call = append(call, k)
	}
	return redis.NewCmd(ctx, append(call, args...)...)
}

// durability is what one call of the script has to achieve.
func (s *Script) durability(asked, standard Durability) Durability {
	switch {
	case asked != "":
		return asked
	case s.loose:
		return Async
	}
	return standard
}

// A Call is one run of a script.
type Call struct {
	Keys []string
	Args []any
}

// A Reply is what [Client.Run] returns.
type Reply struct {
	Reply []string
	Err   error
}

// RunMany is [Client.Run] for many calls of a script at once. The answers are in the order of the calls.
func (c *Client) RunMany(ctx context.Context, t *Terms, s *Script, calls []Call) []Reply {
	replies := make([]Reply, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() { replies[i].Reply, replies[i].Err = c.Run(ctx, t, s, call.Keys, call.Args...) })
	}
	wg.Wait()
	return replies
}

// Run runs a script that answers with an array of strings, with the durability that the terms ask for. All
// keys must lie in one slot. The script may run more than once for one call, when an answer was lost: it must recognise
// its own effect.
func (c *Client) Run(ctx context.Context, t *Terms, s *Script, keys []string, args ...any) ([]string, error) {
	w := writing{
		client: c, ctx: ctx, script: s, keys: keys, args: slices.Clone(args), terms: t,
		durability: s.durability(t.durability(), c.cfg.Durability),
	}
	where := view.Slot(keys[0])
	w.span = startSpan(ctx, "redis write", where)
	reply, err := w.run(where)
	w.span.end(err)
	return reply, err
}

// A writing is one write on its way.
type writing struct {
	client     *Client
	ctx        context.Context
	script     *Script
	keys       []string
	args       []any
	terms      *Terms
	durability Durability
	span       *span

	whole    bool // a node does not hold the script
	inDoubt  bool // an attempt may have been executed without our knowing
	redirect redirect
}

// run tries until the outcome is certain or the context ends.
func (w *writing) run(where int) ([]string, error) {
	watch := w.client.watch
	p, err := watch.placed(w.ctx, where)
	if err != nil {
		return nil, w.giveUp(err)
	}
	if p.writes.Add(1) > int64(w.client.cfg.MaxWrites) {
		p.writes.Add(-1)
		return nil, ErrOverloaded
	}
	defer p.writes.Add(-1)
	for round := 0; ; round++ {
		changed := watch.changed()
		reply, err := w.once(where)
		if redis.HasErrorPrefix(err, "NOSCRIPT ") {
			w.whole = true
			continue
		}
		if err == nil || !transient(err) {
			return reply, w.final(err)
		}
		if w.script.follows(err) && watch.redirect(err, &w.redirect) && round < maxRedirects {
			continue
		}
		if refused := watch.refusal(); refused != nil {
			return nil, w.giveUp(refused)
		}
		p.trouble()
		w.client.metrics.retries.WithLabelValues("write").Inc()
		w.span.again(round, err)
		if !pause(w.ctx, round, changed) {
			return nil, w.giveUp(err)
		}
	}
}

// once sends the write to the master, if it is well.
func (w *writing) once(where int) ([]string, error) {
	p := w.client.watch.topology.Load().at(where)
	if p == nil {
		return nil, errNoMaster
	}
	to := w.redirect.take()
	if to.node == nil {
		if p.master.state() != well {
			return nil, errNoMaster
		}
		to.node = p.master
	}
	if w.durability == Strict && !w.inDoubt && w.client.watch.proven(to.node) {
		return nil, errNoReplica
	}
	a := newAttempt(w.ctx, w.script.command(w.ctx, w.whole, "", w.keys, w.args))
	a.asking, a.strict = to.asking, w.durability == Strict
	w.span.sent(to.node, "master")
	if w.durability == Async {
		to.node.loose.submit(a)
	} else {
		to.node.commits.submit(a)
	}
	err, inDoubt := a.wait()
	w.inDoubt = w.inDoubt || inDoubt
	if err != nil {
		return nil, err
	}
	w.client.watch.served(p)
	w.terms.Wrote(a.achieved)
	w.client.metrics.durability.WithLabelValues(string(a.achieved)).Inc()
	return a.cmd.(*redis.Cmd).StringSlice()
}

// giveUp is what the write answers when its time is up.
func (w *writing) giveUp(last error) error {
	if w.inDoubt {
		w.client.metrics.unknown.Inc()
		return outcomeUnknown(last)
	}
	return unavailable(last)
}

// final is what the write answers when a node has spoken. A refusal says nothing of an attempt before it that may have
// been executed.
func (w *writing) final(err error) error {
	if err != nil && w.inDoubt {
		return w.giveUp(err)
	}
	return translate(err)
}
