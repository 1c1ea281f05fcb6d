package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
)

// tombstoneLife is how long the ID of a revoked session stays unusable. It must outlive every write that may be under way
// when the session is revoked.
const tombstoneLife = 5 * time.Minute

// RedisStore is the [Store] in a Redis Cluster. A read is one GET, a write one script call.
type RedisStore struct {
	cluster *cluster.Client
	scripts scripts
	log     *slog.Logger
	metrics *metrics
	clock   *redisClock
	touches *toucher
	format  format // of new records
	turns   turns
	census  *census
}

// Options are what a RedisStore needs besides a cluster. Log and Metrics must be set.
type Options struct {
	Log     *slog.Logger          // tells operators of the reuse of a rotated ID
	Metrics prometheus.Registerer // where the store registers its collectors
	Now     func() time.Time      // outside tests it is time.Now; nil stands for that. Only the time that passes on it counts
	Census  time.Duration         // the interval between estimates of how many sessions are live; 0 for no estimates

	// Format is the format of new records: 1, which version 0.1.0 can read, or 2, in which the user is bound to the ID. Both are
	// read. 0 stands for 2.
	Format int
}

// NewRedisStore returns a store in the cluster. The caller closes the store first, then the cluster.
func NewRedisStore(c *cluster.Client, o Options) *RedisStore {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &RedisStore{cluster: c, scripts: loadScripts(), log: o.Log, metrics: newMetrics(o.Metrics), format: newestFormat}
	if o.Format != 0 {
		s.format = format(o.Format)
	}
	s.clock = newRedisClock(o.Now)
	s.touches = newToucher(s)
	s.census = newCensus(s, o.Metrics, o.Census)
	return s
}

// Close sends the touches that are still queued. If the context ends first, Close returns its error.
func (s *RedisStore) Close(ctx context.Context) error {
	s.census.close()
	return s.touches.close(ctx)
}

var _ Store = (*RedisStore)(nil)

// Get implements [Store].
func (s *RedisStore) Get(ctx context.Context, terms *Terms, ref Ref) (Session, error) {
	got, at, err := s.peek(ctx, terms, ref)
	if err == nil {
		s.touches.read(at, got, at.id == ref.id)
	}
	return got, err
}

// Peek implements [Store].
func (s *RedisStore) Peek(ctx context.Context, terms *Terms, ref Ref) (Session, error) {
	got, at, err := s.peek(ctx, terms, ref)
	if err == nil {
		s.touches.peeked(at, got, at.id == ref.id)
	}
	return got, err
}

// peek also returns the ref at which the session was found.
func (s *RedisStore) peek(ctx context.Context, terms *Terms, ref Ref) (Session, Ref, error) {
	return s.follow(ctx, terms, ref, func(ref Ref) (Session, error) {
		value, err := s.cluster.Get(ctx, terms, ref.key())
		if errors.Is(err, cluster.ErrNil) {
			return Session{}, ErrNotFound
		}
		if err != nil {
			return Session{}, err
		}
		return s.open(ctx, terms, ref, value)
	})
}

// open turns what Redis holds into a session. For an ID from before a rotation it asks Redis for the time, because Redis'
// clock decides whether the grace is over. If it is, open runs a script on the master, which confirms that.
func (s *RedisStore) open(ctx context.Context, terms *Terms, ref Ref, value []byte) (Session, error) {
	rec, err := decodeRecord(value)
	if err != nil {
		return Session{}, err
	}
	if rec.kind == rotated {
		now, err := s.cluster.Now(ctx, terms, ref.key())
		if err != nil {
			return Session{}, err
		}
		if now.Before(rec.deadline) {
			return Session{}, successor(ref, value, false)
		}
		_, err = s.run(ctx, terms, s.scripts.touch, ref, touchArgs{}.list())
		if err == nil {
			err = ErrNotFound // the ID has been created anew in between: that is another session
		}
		return Session{}, err
	}
	if rec.kind != live {
		return Session{}, ErrNotFound
	}
	got, err := rec.open(ref)
	if err == nil {
		err = s.checkTimes(ctx, terms, rec, got)
	}
	if err != nil {
		return Session{}, err
	}
	return got, nil
}

// aheadAtMost is how far the clock of a node may have been ahead when a session was made.
const aheadAtMost = 24 * time.Hour

// checkTimes bounds a session by the tenant's limit, which its key can outlive: the limit was lowered, or somebody else wrote the
// record, whose times are bound to nothing. Redis' clock decides. It is asked only if it is not known and it matters.
func (s *RedisStore) checkTimes(ctx context.Context, terms *Terms, rec record, got Session) error {
	limit := got.Handle.tenant.policy.TTLLimit
	over, known := s.clock.since(got.ExpiresAt)
	if clamped, odd := rec.deadline.After(got.ExpiresAt), time.Until(got.ExpiresAt) > limit+aheadAtMost; !known && (clamped || odd) {
		now, err := s.cluster.Now(ctx, terms, got.Handle.key())
		if err != nil {
			return err
		}
		over, known = now.Sub(got.ExpiresAt), true
	}
	switch {
	case known && over >= 0:
		return ErrNotFound
	case known && -over > limit+aheadAtMost:
		return fmt.Errorf("%w: it was made in the future", errCorrupt)
	}
	return nil
}

// write runs a script that answers with the clear part of the record as the write left it, even if a retry finds that the
// write was applied before. The content written is added to the session; nil adds none.
func (s *RedisStore) write(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, written *Content, args []any) (Session, error) {
	stored, _, err := s.writeOnce(ctx, terms, script, ref, written, args)
	return stored, err
}

// writeOnce is write that also reports whether an earlier attempt or request had applied the write. If none had, the time of
// the last touch in the answer is Redis' time: the script must be one that slides.
func (s *RedisStore) writeOnce(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, written *Content, args []any) (stored Session, again bool, err error) {
	reply, err := s.cluster.Run(ctx, terms, script, []string{ref.key(), ref.indexKey()}, args...)
	if err != nil {
		return Session{}, false, err
	}
	return s.written(ref, reply, written)
}

// written is what a script answered to writeOnce.
func (s *RedisStore) written(ref Ref, reply []string, written *Content) (stored Session, again bool, err error) {
	value, err := verdict(ref, reply)
	if err != nil {
		return Session{}, false, err
	}
	stored, err = opened(ref, value, written)
	again = reply[0] == "again"
	if err == nil && !again {
		s.clock.saw(stored.TouchedAt)
	}
	if over, known := s.clock.since(stored.ExpiresAt); err == nil && known && over >= 0 { // by the tenant's limit, which was lowered
		return Session{}, false, ErrNotFound
	}
	return stored, again, err
}

// opened is the session in a script's answer, with the content that was written, if any. A ref without an ID is that of a list.
func opened(ref Ref, value []byte, written *Content) (Session, error) {
	rec, err := decodeRecord(value)
	switch {
	case err != nil:
		return Session{}, err
	case rec.kind != live:
		return Session{}, ErrNotFound
	case len(rec.sealed) > 0:
		return rec.open(ref)
	case ref.id != "":
		err = rec.checkUser(ref)
	}
	stored := rec.session(ref.Handle)
	if written != nil {
		stored.Meta, stored.Data = written.Meta, written.Data
	}
	return stored, err
}

// run runs a script on one session and returns the value that comes with its verdict.
func (s *RedisStore) run(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, args []any) ([]byte, error) {
	return s.runOn(ctx, terms, script, ref, "", args)
}

// runOn is run for a script with a third key, besides the session and its index.
func (s *RedisStore) runOn(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, third string, args []any) ([]byte, error) {
	keys := []string{ref.key(), ref.indexKey()}
	if third != "" {
		keys = append(keys, third)
	}
	reply, err := s.cluster.Run(ctx, terms, script, keys, args...)
	if err != nil {
		return nil, err
	}
	return verdict(ref, reply)
}

// verdict translates a script's answer on one session into its value or an error.
func verdict(ref Ref, reply []string) ([]byte, error) {
	var value []byte
	if len(reply) > 1 {
		value = []byte(reply[1])
	}
	switch reply[0] {
	case "ok", "again":
		return value, nil
	case "missing":
		return nil, ErrNotFound
	case "exists":
		return nil, ErrExists
	case "revoked":
		return nil, ErrRevoked
	case "conflict":
		return nil, ErrConflict
	case "key":
		return nil, ErrKeyReused
	case "limit":
		return nil, ErrLimit
	case "over":
		return nil, &TTLError{Field: "max_ttl", why: "has already passed, counted from creation"}
	case "format":
		return nil, errFormat
	case "onward":
		return nil, errOnward
	case "rotated", "late":
		return nil, successor(ref, value, reply[0] == "late")
	}
	return nil, fmt.Errorf("unexpected answer of a script: %q", reply[0])
}
