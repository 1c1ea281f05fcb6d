package rights

import (
	"context"
	"time"
)

// An Evidence shows that a replica had everything at a moment: it has reached the offset that its master was at when it
// was asked, or later.
type Evidence struct {
	Asked   time.Time // when the question to the master was sent
	Offset  int64
	Stream  string // that the offset is of
	Process string // the replica's run ID
	Master  string // ID
}

// A lease is what this instance remembers of its leases on a replica.
type lease struct {
	asking  bool      // a round is under way
	began   time.Time // when the last round that was granted began; zero if none was
	shows   Evidence  // of that round
	asked   time.Time // when the last round ended
	refused Verdict   // the reason of the last round; empty if it was granted
}

// Holds returns whether this instance may take a replica's word now, and the evidence for it. The answer to a command that
// is sent after this counts, however late it is executed, if it is of the process and at the offset of the evidence or
// beyond: from then on the replica only gains.
func (c *Council) Holds(replica string) (shows Evidence, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.leases[replica]
	if l == nil || l.began.IsZero() || passed(l.began) >= heldFor {
		return Evidence{}, false
	}
	return l.shows, true
}

// passed is how long ago a moment was by the older of two clocks: a virtual machine that was stopped may lack that time in
// its monotonic clock, and a wall clock may have been set back.
func passed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// refusalLasts is how long a refusal says something about the present.
const refusalLasts = 2 * time.Second

// Refused returns why a lease on a replica has just been refused; empty if it was granted, or if nobody has asked.
func (c *Council) Refused(replica string) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.leases[replica]; l != nil && time.Since(l.asked) < refusalLasts {
		return l.refused
	}
	return ""
}

// refusedAgain is the time between two rounds for a lease that is refused.
const refusedAgain = 40 * time.Millisecond

// Due reports whether it is time to ask for a lease on a replica, or to renew it, and if so, expects that Lease is called.
func (c *Council) Due(replica string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.leases[replica]
	if l == nil {
		l = new(lease)
		c.leases[replica] = l
	}
	fresh := !l.began.IsZero() && passed(l.began) < leaseLasts/4
	if l.asking || fresh || l.refused != "" && time.Since(l.asked) < refusedAgain {
		return false
	}
	l.asking = true
	return true
}

// Lease asks once for a lease on a replica, after Due has said so.
func (c *Council) Lease(ctx context.Context, replica string, e Evidence) error {
	t, err := c.lease(ctx, Lease, replica, e, leaseLasts)
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.leases[replica]
	l.asking, l.asked, l.refused = false, time.Now(), ""
	if err != nil {
		l.refused = outcome(Lease, err).Reason
		return err
	}
	l.began, l.shows = t.began, e
	return nil
}

// lease makes one round.
func (c *Council) lease(ctx context.Context, kind Kind, replica string, e Evidence, lasts time.Duration) (tally, error) {
	began := time.Now() // before the age is taken: this process may stand still in between
	age := passed(e.Asked)
	if e.Asked.IsZero() || age > evidenceLasts {
		return tally{}, &Refusal{Marked}
	}
	age += age/10 + roundLimit // clocks differ in speed, and the request is on its way
	t := c.round(ctx, began, request{operation: "lease", master: e.Master, args: []any{replica, milliseconds(age), milliseconds(lasts)}}, true)
	err := t.refusal()
	c.report(outcome(kind, err, replica))
	return t, err
}

// Stage makes this instance hold a lease, for the tests of the packages above.
func (c *Council) Stage(replica string, e Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leases[replica] = &lease{began: time.Now(), shows: e}
}

// StageRefusal makes the last round for a lease one that was refused, for the tests of the packages above.
func (c *Council) StageRefusal(replica string, why Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leases[replica] = &lease{refused: why, asked: time.Now()}
}
