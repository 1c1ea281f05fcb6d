// Package ledger judges a session store by its answers. The caller tells it of every write, when it is sent and when its
// answer comes, and of every read; the ledger decides whether a correct store could have given that answer.
//
// A session is a regular register with one writer at a time (Lamport, On Interprocess Communication, 1986): a read that
// started at S and ended at E may show the last write acknowledged before S, or any write sent before E and not
// acknowledged before S. A write of unknown outcome (the connection was lost, or the answer was outcome-unknown) may have
// taken effect, may still do so at any time, or never will. It stays open, and reads may show either state. Reads do not
// constrain one another: what one read saw of an open write, the next need not see.
//
// The store counts a session's writes in its version. If the answers carry versions, the judgement is sharper. An open
// write older than an acknowledged one may be shown only at a higher version. If two writes are acknowledged at the same
// version, the earlier one is lost, even if nobody reads in between. A version of 0 is unknown; then only the order of the
// writes is judged.
//
// A deletion is final. A rotation counts as a write that keeps the content; the old key works beside the new one until the
// grace ends.
package ledger

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// A Config tunes a Ledger. The zero value is usable.
type Config struct {
	// ShortTTL separates expiry from loss. A session that is gone too early is EarlyExpired if its idle or absolute TTL
	// is at most this, and Lost otherwise. 1 minute if 0.
	ShortTTL time.Duration
	// Slack is how far the clocks of the store's nodes and of this process may differ when deadlines and graces are
	// judged. 1 second if 0, none if negative.
	Slack time.Duration
	// Examples bounds how many findings of each verdict are kept. 20 if 0.
	Examples int
	// OpenLimit bounds how many writes of unknown outcome are remembered individually per session. Beyond it, the oldest
	// are considered possible whatever is read. 16 if 0.
	OpenLimit int
	// Now is the clock. Outside tests it is time.Now.
	Now func() time.Time
}

const shards = 64

// A Ledger is safe for concurrent use. A session takes some 400 bytes, however many requests it gets. The caller bounds the
// number of sessions with Forget.
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

// A Lifetime holds the TTLs that a session was created with. Zero is unknown: the session may then expire at any time, and
// its absence is never a finding.
type Lifetime struct {
	Idle time.Duration // from the last acknowledged write
	Max  time.Duration // from creation
}

// Create begins the creation of a session whose key the answer will carry. Call it before sending the request.
func (l *Ledger) Create(life Lifetime) *Write {
	now := l.cfg.Now()
	s := &session{salt: rand.Uint64(), next: 1, life: life, bornSent: now}
	return l.begin(&name{s: s}, now, create, 0)
}

// Write begins the replacement of a session's content. A guard other than 0 is the version in If-Match. Call it before
// sending the request. It returns nil if the key is unknown. It panics if another write to the session is unfinished,
// because nothing could be judged then.
func (l *Ledger) Write(key string, guard uint64) *Write { return l.beginAt(key, content, guard) }

// Delete begins a deletion, as Write does.
func (l *Ledger) Delete(key string) *Write { return l.beginAt(key, deletion, 0) }

// Rotate begins a rotation, as Write does. The old key works beside the new one until the grace ends.
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

// Read begins a read. Call it before sending the request. If the ledger does not know the key, the read must find nothing.
func (l *Ledger) Read(key string) *Read { return l.read(key, false) }

// ReadBack is Read for the end of a test, when every write has had time to take effect: a stale read is then Lost.
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

// List begins a lookup of a session in a list.
func (l *Ledger) List(key string) *Listing {
	r := &Listing{l: l, key: key, name: l.find(key)}
	if r.name != nil {
		r.name.s.mu.Lock()
		defer r.name.s.mu.Unlock()
		r.snap = r.name.s.snapshot(l.cfg.Now())
	}
	return r
}

// Forget drops a key. With a session's last key, it drops the session. Requests in flight are still judged.
func (l *Ledger) Forget(key string) {
	sh := l.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.names, key)
}

// Len returns the number of keys, including those of deleted sessions and those from before rotations.
func (l *Ledger) Len() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.RLock()
		n += len(l.shards[i].names)
		l.shards[i].mu.RUnlock()
	}
	return n
}

// Sweep lists every key under which a session must be found now: it was acknowledged, no deletion was sent, its deadlines
// have not passed, and no rotation has replaced the key. Writes of unknown outcome do not excuse an absence.
func (l *Ledger) Sweep() []string {
	now := l.cfg.Now()
	return l.list(func(n *name) bool { return n.mustBeThere(now, l.cfg.Slack) })
}

// Deleted lists every key whose session must not be found, because its deletion was acknowledged.
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
