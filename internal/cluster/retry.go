package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// maxRedirects bounds the redirects that a call follows without a pause.
const maxRedirects = 5

// A call is what reads and writes have in common: they are tried until a node has answered or the context ends.
type call struct {
	client *Client
	ctx    context.Context
	kind   string // "read" or "write", for metrics
	slot   int
	script *Script // the script that the command runs; nil if none
	terms  *Terms
	span   *span

	whole    bool // a node did not have the script, so it is sent whole
	redirect redirect
	failed   func() // called before each pause; may be nil
}

// A redirect is the node that a MOVED or ASK reply named. It applies to the next attempt only.
type redirect struct {
	peer   *peer.Peer // nil if there is none
	asking bool
}

// attempt makes an attempt of the call, which has its turn among those of the same owner.
func (c *call) attempt(cmd redis.Cmder) *peer.Attempt {
	a := peer.NewAttempt(c.ctx, cmd)
	a.Owner, a.Weight = c.terms.owner(), c.terms.weight()
	return a
}

// retry calls once until a node has spoken: it has answered, perhaps with an error. When the context ends, it fails with
// the last error, and spoken is false. If no node accepts our credentials, it fails at once.
func (c *call) retry(once func() (redis.Cmder, error)) (answered redis.Cmder, spoken bool, err error) {
	watch := c.client.watch
	for round := 0; ; round++ {
		changed := watch.Changed()
		answered, err := once()
		switch {
		case peer.IsNoScript(err):
			c.whole = true
			continue
		case !transient(err):
			return answered, true, err
		}
		if c.redirect = c.redirected(err); c.redirect.peer != nil && round < maxRedirects {
			continue
		}
		if refused := watch.Refusal(); refused != nil {
			return nil, false, refused
		}
		if errors.Is(c.ctx.Err(), context.Canceled) { // the caller has left: that is no trouble of the shard
			return nil, false, err
		}
		if c.failed != nil {
			c.failed()
		}
		c.client.metrics.retries.WithLabelValues(c.kind).Inc()
		c.span.again(round, err)
		c.terms.wait()
		if !pause(c.ctx, round, changed) {
			return nil, false, err
		}
	}
}

// redirected returns the redirect of a MOVED or ASK reply, if the next attempt may follow it: the view must list the
// node, and the node must have connections. A wide script (see [Script.Widely]) does not follow ASK.
func (c *call) redirected(err error) redirect {
	addr, asking := peer.Redirected(err)
	n, known := c.client.watch.Topology().Named(addr)
	if !known || asking && c.script != nil && c.script.wide {
		return redirect{}
	}
	to := c.client.peers.At(n.Addr)
	if _, err := to.Traffic(); err != nil {
		return redirect{}
	}
	return redirect{to, asking}
}

// takeRedirect returns the redirect and clears it.
func (c *call) takeRedirect() redirect {
	to := c.redirect
	c.redirect = redirect{}
	return to
}

// pause waits before another round, up to about 0.2 s and longer each time, but no longer than until something changes. It
// reports false if the context ends first. Jitter keeps many requests from coming back at once.
func pause(ctx context.Context, round int, changed <-chan struct{}) bool {
	d := 2 * time.Millisecond << min(round, 6)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-timer.C:
	}
	return ctx.Err() == nil
}
