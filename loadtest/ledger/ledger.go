// Package ledger judges a session store by what it answered: it is told of every write when it is sent and when its
// answer comes, and says of every read whether a correct store could have answered so.
//
// A session is a regular register with one writer at a time (Lamport, On Interprocess Communication, 1986): a read that
// was started at S and ended at E may show the last write that was acknowledged before S, or any write that was sent
// before E and not acknowledged before S. A write of unknown outcome (the connection was lost, the answer was
// outcome-unknown) may have taken effect, may do so at any later time, or never; it stays open, and reads may show
// either. Reads bind one another in nothing: what one read saw of an open write, the next need not see.
//
// The store counts the writes of a session in its version. Where the answers tell it, the judgement is sharper: an open
// write that is older than an acknowledged one may be shown only at a higher version, and a write acknowledged at a
// version that was acknowledged before says that the earlier one is lost, even if nobody reads in between. Versions of 0
// are unknown ones, and only the order of the writes is judged then.
//
// A deletion is final. A rotation counts as a write that leaves the content; the old key stands for the new one for the
// grace.
package ledger

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// A Config tunes a Ledger; the zero value is usable.
type Config struct {
	// ShortTTL tells expiry from loss: a session whose idle or absolute TTL is at most this and that is gone too early
	// is EarlyExpired, any other is Lost. 1 minute if 0.
	ShortTTL time.Duration
	// Slack is how far the clocks of the store's nodes and of this process may differ when deadlines and graces are
	// judged. 1 second if 0, none if negative.
	Slack time.Duration
	// Examples bounds how many findings of each verdict are kept. 20 if 0.
	Examples int
	// OpenLimit bounds how many writes of unknown outcome are remembered one by one for each session; beyond it the
	// oldest are taken for possible whatever is read. 16 if 0.
	OpenLimit int
	// Now is the clock; outside tests it is time.Now.
	Now func() time.Time
}

const shards = 64

// A Ledger is safe for concurrent use. A session costs it some 400 bytes, whatever is done to it; the caller bounds their
// number with Forget.
type Ledger struct {
	cfg    Config
	seed   maphash.Seed
	shards [shards]shard
	tally  tally
}

// A shard holds the sessions by key. Its lock is never held while a session is judged.
type shard struct {
	mu    sync.RWMutex
	names map[string]*name
}

// New makes an empty ledger.
func New(cfg Config) *Ledger {
	if cfg.ShortTTL == 0 {
		cfg.ShortTTL = time.Minute
	}
	if cfg.Slack == 0 {
		cfg.Slack = time.Second
	}
	cfg.Slack = max(cfg.Slack, 0)
	if cfg.Examples == 0 {
		cfg.Examples = 20
	}
	if cfg.OpenLimit == 0 {
		cfg.OpenLimit = 16
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Ledger{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].names = map[string]*name{}
	}
	return l
}

// A Lifetime is what a session was created with. Zero is unknown: the session may then expire at any time, and its
// absence is never a finding.
type Lifetime struct {
	Idle time.Duration // from the last acknowledged write
	Max  time.Duration // from creation
}

// Create begins the creation of a session whose key the answer will tell. Call it before the request is sent.
func (l *Ledger) Create(life Lifetime) *Write {
	now := l.cfg.Now()
	s := &session{salt: rand.Uint64(), next: 1, life: life, bornSent: now}
	return l.begin(&name{s: s}, now, create, 0)
}

// Write begins the replacement of a session's content. A guard other than 0 is the version that If-Match names. Call it
// before the request is sent. It returns nil if the key is unknown; it panics if another write to the session is not
// finished, because nothing could be judged then.
func (l *Ledger) Write(key string, guard uint64) *Write { return l.beginAt(key, content, guard) }

// Delete begins a deletion, as Write does.
func (l *Ledger) Delete(key string) *Write { return l.beginAt(key, deletion, 0) }

// Rotate begins a rotation after which the old key stands for the new one for the grace, as Write does.
func (l *Ledger) Rotate(key string, grace time.Duration) *Write {
	n := l.find(key)
	if n == nil {
		return nil
	}
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	w := l.begin(n, l.cfg.Now(), rotation, 0)
	w.key, w.grace = key, grace
	if w.stood = n.standsUntil; n.standsUntil.IsZero() {
		n.standsUntil, n.harmless = w.snap.at.Add(grace), grace == 0
	}
	return w
}

func (l *Ledger) beginAt(key string, kind kind, guard uint64) *Write {
	n := l.find(key)
	if n == nil {
		return nil
	}
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	w := l.begin(n, l.cfg.Now(), kind, guard)
	w.key = key
	return w
}

// Read begins a read. Call it before the request is sent. A key that the ledger does not know must not be found.
func (l *Ledger) Read(key string) *Read { return l.read(key, false) }

// ReadBack is Read for the end of a test, when every write has had its time: what is stale then is Lost.
func (l *Ledger) ReadBack(key string) *Read { return l.read(key, true) }

func (l *Ledger) read(key string, final bool) *Read {
	r := &Read{l: l, key: key, final: final, name: l.find(key)}
	now := l.cfg.Now()
	if r.name == nil {
		r.snap.at = now
		return r
	}
	r.name.s.mu.Lock()
	defer r.name.s.mu.Unlock()
	r.snap = r.name.s.snapshot(now)
	r.old = r.name.use()
	return r
}

// List begins to look for a session in a list.
func (l *Ledger) List(key string) *Listing {
	r := &Listing{l: l, key: key, name: l.find(key)}
	if r.name != nil {
		r.name.s.mu.Lock()
		defer r.name.s.mu.Unlock()
		r.snap = r.name.s.snapshot(l.cfg.Now())
	}
	return r
}

// Forget drops a key, and with the last key of a session what is known of it. Requests that are under way are still
// judged.
func (l *Ledger) Forget(key string) {
	sh := l.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.names, key)
}

// Len is the number of keys, those of deleted sessions and from before rotations among them.
func (l *Ledger) Len() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.RLock()
		n += len(l.shards[i].names)
		l.shards[i].mu.RUnlock()
	}
	return n
}

// Sweep lists every key under which a session must be found now: acknowledged, no deletion sent, its deadlines not over,
// and not handed on by a rotation. Writes of unknown outcome do not excuse it.
func (l *Ledger) Sweep() []string {
	now := l.cfg.Now()
	return l.list(func(n *name) bool { return n.mustBeThere(now, l.cfg.Slack) })
}

// Deleted lists every key whose session must not be found: its deletion was acknowledged.
func (l *Ledger) Deleted() []string {
	return l.list(func(n *name) bool { return n.s.deletedAt != 0 })
}

func (l *Ledger) list(keep func(*name) bool) []string {
	var keys []string
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.RLock()
		names := maps.Clone(sh.names)
		sh.mu.RUnlock()
		for key, n := range names { // not under the shard's lock: an acknowledged create takes it under the session's
			n.s.mu.Lock()
			if keep(n) {
				keys = append(keys, key)
			}
			n.s.mu.Unlock()
		}
	}
	return keys
}

func (l *Ledger) shard(key string) *shard { return &l.shards[maphash.String(l.seed, key)%shards] }

func (l *Ledger) find(key string) *name {
	sh := l.shard(key)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.names[key]
}

// enter puts a name under a key, unless the key is taken.
func (l *Ledger) enter(key string, n *name) (taken *name) {
	sh := l.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old := sh.names[key]; old != nil {
		return old
	}
	sh.names[key] = n
	return nil
}
