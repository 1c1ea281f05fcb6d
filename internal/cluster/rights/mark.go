package rights

import (
	"context"
	"strings"
	"time"
)

// A marking is the rounds of marks for the same replicas. Rounds do not overlap. Whoever comes while one is under way waits
// for the next, because a mark speaks only for what was executed before its round began.
type marking struct {
	running, next *markRound
}

type markRound struct {
	done chan struct{}
	err  error // set before done is closed
}

// Mark notes at the registers that replicas of a master may lack what was written up to now. It returns nil once a quorum
// has noted it, in a round that began after the call. A refusal is a *Refusal.
func (c *Council) Mark(ctx context.Context, master string, replicas []string) error {
	r := c.join(master, replicas)
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join returns the next round that begins.
func (c *Council) join(master string, replicas []string) *markRound {
	name := master + " " + strings.Join(replicas, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marking[name]
	if m == nil {
		m = &marking{running: newMarkRound()}
		c.marking[name] = m
		go c.mark(name, m, master, replicas)
		return m.running
	}
	if m.next == nil {
		m.next = newMarkRound()
	}
	return m.next
}

func newMarkRound() *markRound { return &markRound{done: make(chan struct{})} }

// markEvery is the least time between two rounds for the same replicas. While a replica is gone, every write waits for a round.
// Rounds that follow each other at once would cost the masters more than the writes do.
const markEvery = 10 * time.Millisecond

// mark makes rounds as long as somebody waits for one.
func (c *Council) mark(name string, m *marking, master string, replicas []string) {
	for r := m.running; r != nil; {
		next := time.After(markEvery)
		r.err = c.markOnce(master, replicas)
		close(r.done)
		<-next
		c.mu.Lock()
		r, m.running, m.next = m.next, m.next, nil
		if r == nil {
			delete(c.marking, name)
		}
		c.mu.Unlock()
	}
}

func (c *Council) markOnce(master string, replicas []string) error {
	c.mu.Lock()
	timeout := c.nodeTimeout()
	c.mu.Unlock()
	args := []any{master, milliseconds(timeout), milliseconds(forgottenLasts(timeout))}
	for _, r := range replicas {
		args = append(args, r)
	}
	err := c.round(context.Background(), time.Now(), request{operation: "mark", args: args}, true).refusal()
	c.report(outcome(Mark, err, replicas...))
	return err
}
