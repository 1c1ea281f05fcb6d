package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// maxRedirects bounds the redirects that are followed without a pause.
const maxRedirects = 5

// A call is what a read and a write on their way have in common: they are tried until a node has answered, or the context
// ends.
type call struct {
	client *Client
	ctx    context.Context
	kind   string // "read" or "write", for metrics
	slot   int
	script *Script // that the command calls; nil if it calls none
	terms  *Terms
	span   *span

	whole    bool // some node does not hold the script: it is sent whole
	redirect redirect
	failed   func() // called before each pause; may be nil
}

// A redirect is where a node has sent us, for the next attempt only.
type redirect struct {
	peer   *peer.Peer // nil if there is none
	asking bool
}

// retry calls once until it has an answer, which may be an error of a node that has spoken. It fails with its last error
// when the context ends, or at once when no node lets us in; that is then not for another attempt.
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
		if c.failed != nil {
			c.failed()
		}
		c.client.metrics.retries.WithLabelValues(c.kind).Inc()
		c.span.again(round, err)
		if !pause(c.ctx, round, changed) {
			return nil, false, err
		}
	}
}

// redirected is where an answer of MOVED or ASK sends the next attempt, if that may go there: to a node of the view that
// has connections. A wide script (see Widely) does not go ahead of its slot.
func (c *call) redirected(err error) redirect {
	addr, asking := peer.Redirected(err)
	if addr == "" || asking && c.script != nil && c.script.wide || !c.client.watch.Topology().Lists(addr) {
		return redirect{}
	}
	to := c.client.peers.At(addr)
	if _, err := to.Traffic(); err != nil {
		return redirect{}
	}
	return redirect{to, asking}
}

// takeRedirect returns the redirect and forgets it.
func (c *call) takeRedirect() redirect {
	to := c.redirect
	c.redirect = redirect{}
	return to
}

// pause waits before another round, longer each time up to a quarter of a second, or until something changes, and
// reports whether there is time for it. The jitter keeps many requests from coming back at once.
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
