package rights

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// How long things last. Rule numbers are those of the package comment.
const (
	roundLimit = 250 * time.Millisecond // of one round; an answer after it does not count (rule 5)
	leaseLasts = 400 * time.Millisecond // at its registers (rule 7)
	heldFor    = leaseLasts * 3 / 4     // by its holder, from before it asked: clocks may differ in speed by a tenth
	forceLimit = 250 * time.Millisecond // from the replica's word for the time until FORCE must have been executed (rule 9)

	// Evidence that is older grants nothing. Registers may forget marks after an hour.
	evidenceLasts = 30 * time.Minute
)

// ElectionLasts is how long after FORCE its election can still be won. Redis may begin it until it drops the request (5 s, its
// CLUSTER_MF_TIMEOUT), and then counts votes for twice the node timeout, at least 2 s (its auth_timeout).
func ElectionLasts(nodeTimeout time.Duration) time.Duration {
	return 5*time.Second + max(2*nodeTimeout, 2*time.Second)
}

// forgottenLasts is the longest time that a lease may matter at a register that has forgotten it: a forced one, which covers
// the time until FORCE is executed, what that starts, and two rounds, by a clock that is a tenth faster.
func forgottenLasts(nodeTimeout time.Duration) time.Duration {
	return (forceLimit + ElectionLasts(nodeTimeout) + 2*roundLimit) * 11 / 10
}

// A Council is the masters of one cluster as the body that grants rights. Its methods may be called concurrently.
type Council struct {
	ask    func(context.Context, Register, request) (answer, error)
	report func(Outcome)

	mu        sync.Mutex
	registers []Register           // guarded by mu
	keys      map[int]string       // of registers, by their lowest slot; guarded by mu
	accounted seal                 // guarded by mu
	timeout   time.Duration        // the nodes' node timeout; guarded by mu
	formers   []former             // guarded by mu
	stepped   map[string]time.Time // when the clock of a register was seen to step; guarded by mu
	met       map[string]string    // the process that a register was when it was last opened; guarded by mu
	opened    time.Time            // when the last opening began; guarded by mu
	toOpen    bool                 // guarded by mu
	idle      bool                 // nobody has a replica, so there is nothing to grant; guarded by mu
	leases    map[string]*lease    // by replica; guarded by mu
	marking   map[string]*marking  // by replicas; guarded by mu
}

// A former is a set of masters that has been replaced (rule 10).
type former struct {
	ids   []string
	until time.Time       // it counts for as long at least
	knows map[string]bool // those that have voted for nobody whom we do not know, by their word after that
}

// New makes a council without registers. report is called with the outcome of each round that asked for a right; it may be
// nil.
func New(report func(Outcome)) *Council {
	if report == nil {
		report = func(Outcome) {}
	}
	return &Council{
		ask: func(ctx context.Context, r Register, q request) (answer, error) { return r.ask(ctx, q) }, report: report, accounted: unsealed,
		keys: map[int]string{}, stepped: map[string]time.Time{}, met: map[string]string{}, leases: map[string]*lease{}, marking: map[string]*marking{},
	}
}

// Follow makes the masters of a newly adopted view the council. at returns the peer at an address.
func (c *Council) Follow(v view.View, at func(addr string) *peer.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var registers []Register
	for _, n := range v.Nodes {
		if n.Master && n.Slots > 0 && n.Health != view.NoAddress {
			slot := n.Ranges[0].First
			registers = append(registers, Register{ID: n.ID, Peer: at(n.Addr), Slot: slot, key: c.keyOf(slot)})
		}
	}
	if before := ids(c.registers); len(before) > 0 && !slices.Equal(before, ids(registers)) {
		c.addFormer(before)
	}
	c.registers = registers
	c.accounted = sealOf(v).after(c.accounted)
	c.toOpen = true
	c.idle = !slices.ContainsFunc(v.Nodes, func(n view.Node) bool { return n.MasterID != "" })
}

// keyOf is the key of a register by its lowest slot. To find one takes milliseconds, which a promotion must not wait for, and
// a promoted replica has its master's slots. It is called with mu held.
func (c *Council) keyOf(slot int) string {
	if c.keys[slot] == "" {
		c.keys[slot] = key(slot)
	}
	return c.keys[slot]
}

// addFormer makes masters that have been replaced count for some time. It is called with mu held.
func (c *Council) addFormer(ids []string) {
	c.formers = append(c.formers, former{ids, time.Now().Add(forgottenLasts(c.nodeTimeout())), map[string]bool{}})
}

// Hear records the current epoch of any node, a former master for example, which may be a register no longer.
func (c *Council) Hear(id string, epoch int64, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch > 0 && epoch <= c.accounted.epoch {
		c.acquit(id, asked)
	}
}

// acquit records that a node has voted for nobody whom we do not know, by its answer to a question, and drops the former
// masters that need not be asked any more. It is called with mu held.
func (c *Council) acquit(id string, asked time.Time) {
	c.formers = slices.DeleteFunc(c.formers, func(f former) bool {
		if asked.After(f.until) {
			f.knows[id] = true
		}
		return majority(f.ids, func(id string) bool { return f.knows[id] })
	})
}

// AskFormers reports whether masters that have been replaced still count, so that they must grant too.
func (c *Council) AskFormers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.formers) > 0
}

// ids are those of registers, sorted.
func ids(registers []Register) []string {
	var ids []string
	for _, r := range registers {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

// Account records that every epoch up to one is accounted for: all nodes of the view agree on the owners, and no vote of
// an earlier election counts any more.
func (c *Council) Account(epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch > c.accounted.epoch {
		c.accounted.epoch = epoch
		c.toOpen = true
	}
}

// Accounted returns the epoch up to which every election is known to be over; -1 if none is.
func (c *Council) Accounted() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounted.epoch
}

// Meet records which process a register is, and its node timeout. A new process must be opened.
func (c *Council) Meet(id, process string, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeout = max(c.timeout, timeout)
	if c.met[id] != process {
		c.met[id] = process
		c.toOpen = true
	}
}

// nodeTimeout returns the nodes' node timeout, or Redis' default while it is not known. It is called with mu held.
func (c *Council) nodeTimeout() time.Duration { return cmp.Or(c.timeout, 15*time.Second) }

// Stepped records that the clock of a register has been set, and not merely drifted. It counts for nothing until no lease
// from before can matter (rule 11).
func (c *Council) Stepped(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepped[id] = time.Now()
}

// openAgain is the time between two openings if one is needed.
const openAgain = 500 * time.Millisecond

// MustOpen reports whether it is time to open the registers, and if so, expects that Open is called.
func (c *Council) MustOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	due := slices.ContainsFunc(c.formers, func(f former) bool { return now.After(f.until) })
	if !c.toOpen && !due || now.Sub(c.opened) < openAgain || len(c.registers) == 0 || c.idle {
		return false
	}
	c.opened, c.toOpen = now, false
	return true
}

// Open makes every register begin its time now, if it has not begun, and exchanges seals with it. A register that is not
// open grants no mark until a lease that it may have forgotten is over, so this must not wait until a mark is needed. It
// fails if a register did not answer.
func (c *Council) Open(ctx context.Context) error { return c.open(ctx, "") }

// Found opens the registers of a cluster that has just been formed. They have forgotten nothing.
func (c *Council) Found(ctx context.Context) error { return c.open(ctx, "new") }

func (c *Council) open(ctx context.Context, how string) error {
	t := c.round(ctx, time.Now(), request{operation: "open", args: []any{how}}, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed error
	for _, id := range ids(c.registers) {
		if t.knows(id) {
			c.acquit(id, t.began)
		}
		if v := t.verdicts[id]; v != Granted && v != Epoch {
			c.toOpen = true
			failed = cmp.Or[error](failed, &Refusal{v})
		}
	}
	return failed
}

// round asks every register at the same time. It returns when enough have granted the request, if that is enough for the
// caller, or else when all have answered or the time is up.
// What the request says of time must be true at the moment when the round began.
func (c *Council) round(ctx context.Context, began time.Time, q request, enough bool) tally {
	ctx, cancel := context.WithDeadline(ctx, began.Add(roundLimit))
	defer cancel()
	t, registers := c.begin(began, &q)
	type spoken struct {
		id string
		answer
		err error
	}
	answers := make(chan spoken, len(registers))
	for _, r := range registers {
		go func() {
			a, err := c.ask(ctx, r, q)
			answers <- spoken{r.ID, a, err}
		}()
	}
	for range registers {
		select {
		case s := <-answers:
			if s.err == nil && passed(t.began) < roundLimit {
				t.verdicts[s.id] = s.verdict
				c.hear(s.answer)
			}
		case <-ctx.Done():
			return t
		}
		if enough && t.granted() {
			break
		}
	}
	return t
}

// begin completes a request and returns an empty tally with those to ask.
func (c *Council) begin(began time.Time, q *request) (tally, []Register) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.accounted = c.accounted
	t := tally{began: began, verdicts: map[string]Verdict{}, sets: [][]string{ids(c.registers)}}
	for _, f := range c.formers {
		t.sets = append(t.sets, f.ids)
	}
	q.seals = len(c.formers) == 0
	var trusted []Register
	replaced := q.master != "" && !slices.Contains(t.sets[0], q.master)
	for _, r := range c.registers {
		if replaced {
			t.verdicts[r.ID] = Elsewhere
			continue
		}
		t.verdicts[r.ID] = Silent
		if at, ok := c.stepped[r.ID]; ok && time.Since(at) < forgottenLasts(c.nodeTimeout()) {
			t.verdicts[r.ID] = Stepped
			continue
		}
		if r.Peer.State() == peer.Down { // it would only hold a connection
			continue
		}
		trusted = append(trusted, r)
	}
	return t, trusted
}

// hear takes over what a register has sealed. The masters of the seal may have granted something that still matters.
func (c *Council) hear(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	learnt := c.accounted.learn(a.seal)
	if learnt.epoch <= c.accounted.epoch {
		return
	}
	c.accounted = learnt
	c.toOpen = true
	if sealed := slices.Sorted(maps.Keys(a.seal.masters)); !slices.Equal(sealed, ids(c.registers)) {
		c.addFormer(sealed)
	}
}
