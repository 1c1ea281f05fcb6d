package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxRedirects bounds the redirects that are followed without a pause.
const maxRedirects = 5

// errNoMaster means that the slot has no master at the moment that could be asked.
var errNoMaster = errors.New("the slot has no master that is well")

// errMaybeMoving means that a replica has answered for want of a key, and that nobody can say yet that the slot was not on
// the move.
var errMaybeMoving = errors.New("it is not proven that the slot was not on the move")

// at is where a slot is; nil if it is nowhere, or if nothing is known yet.
func (t *topology) at(slot int) *placement {
	if t == nil {
		return nil
	}
	return t.slots[slot]
}

// placed waits until it is known where a slot is.
func (w *watcher) placed(ctx context.Context, slot int) (*placement, error) {
	for {
		changed := w.changed()
		if p := w.topology.Load().at(slot); p != nil {
			return p, ctx.Err()
		}
		if refused := w.refusal(); refused != nil {
			return nil, refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errNoMaster
		}
	}
}

// refusal is why no node lets us in; nil if one does, or none has answered.
func (w *watcher) refusal() error {
	if r := w.refused.Load(); r != nil && !w.anyAnswering() {
		return r.err
	}
	return nil
}

// isMaster reports whether the node is master of anything.
func (w *watcher) isMaster(n *node) bool { return w.topology.Load().mastered(n) != nil }

// nameOf is the node's announced name, for labels; its address while that is not known.
func (w *watcher) nameOf(addr string) string {
	if t := w.topology.Load(); t != nil {
		for _, n := range t.view.Nodes {
			if n.Addr == addr {
				return n.Name()
			}
		}
	}
	return addr
}

// A redirect is where a node has sent us, for the next attempt only.
type redirect struct {
	node   *node
	asking bool
}

// take returns the redirect and forgets it.
func (r *redirect) take() redirect {
	to := *r
	*r = redirect{}
	return to
}

// redirect reads the address in MOVED and ASK ("MOVED 3999 10.0.0.1:6379"), and reports whether it is a node that we have
// connections to.
func (w *watcher) redirect(err error, to *redirect) bool {
	if !isRedirect(err) {
		return false
	}
	w.hurry()
	kind, rest, _ := strings.Cut(err.Error(), " ")
	_, addr, _ := strings.Cut(rest, " ")
	for _, n := range w.topology.Load().view.Nodes {
		if n.Addr != addr {
			continue
		}
		if at := w.client.node(addr); at.traffic.Load() != nil {
			*to = redirect{at, kind == "ASK"}
			return true
		}
	}
	return false
}

// follows reports whether a redirect may be followed: a wide script (see Widely) does not go ahead of its slot. Nil is no
// script.
func (s *Script) follows(err error) bool {
	return s == nil || !s.wide || !redis.HasErrorPrefix(err, "ASK ")
}

func isRedirect(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ")
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
