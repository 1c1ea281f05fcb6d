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

// tombstoneLife is how long a revoked session's ID stays unusable. It has to outlive every write that may still be
// under way when the session is revoked.
const tombstoneLife = 5 * time.Minute

// RedisStore is the [Store] in a Redis Cluster. A read is one GET, a write one script call.
type RedisStore struct {
	cluster *cluster.Client
	scripts scripts
	log     *slog.Logger
	metrics *metrics
	touches *toucher
	turns   turns
	census  *census
}

// Options are what a RedisStore needs besides a cluster. Log and Metrics must be set.
type Options struct {
	Log     *slog.Logger          // where an operator learns of the reuse of a rotated ID
	Metrics prometheus.Registerer // where the store registers its collectors
	Now     func() time.Time      // outside tests it is time.Now, which nil stands for
	Census  time.Duration         // between two estimates of how many sessions are live; 0 for none
}

// NewRedisStore keeps sessions in the cluster, which the caller closes after the store.
func NewRedisStore(c *cluster.Client, o Options) *RedisStore {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &RedisStore{cluster: c, scripts: loadScripts(), log: o.Log, metrics: newMetrics(o.Metrics)}
	s.touches = newToucher(s, o.Now)
	s.census = newCensus(s, o.Metrics, o.Census)
	return s
}

// Close sends the touches that are still queued, while the context lasts.
func (s *RedisStore) Close(ctx context.Context) error {
	s.census.close()
	return s.touches.close(ctx)
}

var _ Store = (*RedisStore)(nil)

// Get implements [Store].
func (s *RedisStore) Get(ctx context.Context, terms *Terms, ref Ref) (Session, error) {
	got, at, err := s.peek(ctx, terms, ref)
	if err == nil {
		s.touches.read(at, got)
	}
	return got, err
}

// Peek implements [Store].
func (s *RedisStore) Peek(ctx context.Context, terms *Terms, ref Ref) (Session, error) {
	got, _, err := s.peek(ctx, terms, ref)
	return got, err
}

// peek also tells which ref answered.
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

// open turns what Redis holds into a session. For an ID from before a rotation, Redis is asked once more: its clock
// decides whether the grace is over, and if it is, its master, who alone can act on it.
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
			err = ErrNotFound // it was rotated a moment ago and is live now: not this ID
		}
		return Session{}, err
	}
	return rec.open(ref)
}

// write runs a script that answers with the clear part of the session as the write made it, also when a retry found that
// it had been made before. The content is what was written.
func (s *RedisStore) write(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, written *Content, args []any) (Session, error) {
	value, err := s.run(ctx, terms, script, ref, args)
	if err != nil {
		return Session{}, err
	}
	return opened(ref, value, written)
}

// opened is the session in a script's answer.
func opened(ref Ref, value []byte, written *Content) (Session, error) {
	rec, err := decodeRecord(value)
	if err != nil {
		return Session{}, err
	}
	stored, err := rec.open(ref)
	if len(rec.sealed) == 0 && written != nil {
		stored.Meta, stored.Data = written.Meta, written.Data
	}
	return stored, err
}

// run runs a script on one session and returns what comes with its verdict.
func (s *RedisStore) run(ctx context.Context, terms *Terms, script *cluster.Script, ref Ref, args []any) ([]byte, error) {
	return s.runOn(ctx, terms, script, ref, "", args)
}

// runOn is run for a script that has a third key, beside those of the session and of its index.
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

// verdict translates a script's answer on one session.
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
	case "limit":
		return nil, ErrLimit
	case "over":
		return nil, &TTLError{Field: "max_ttl", why: "lies before now, counted from creation"}
	case "rotated", "reuse":
		return nil, successor(ref, value, reply[0] == "reuse")
	}
	return nil, fmt.Errorf("script answered %q", reply[0])
}
