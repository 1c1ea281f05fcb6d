package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
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
}

// Options are what a RedisStore needs besides a cluster. Log and Metrics must be set.
type Options struct {
	Log     *slog.Logger          // where an operator learns of the reuse of a rotated ID
	Metrics prometheus.Registerer // where the store registers its collectors
	Now     func() time.Time      // outside tests it is time.Now, which nil stands for
}

// NewRedisStore keeps sessions in the cluster, which the caller closes after the store.
func NewRedisStore(c *cluster.Client, o Options) *RedisStore {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &RedisStore{cluster: c, scripts: loadScripts(), log: o.Log, metrics: newMetrics(o.Metrics)}
	s.touches = newToucher(s, o.Now)
	return s
}

// Close sends the touches that are still queued, while the context lasts.
func (s *RedisStore) Close(ctx context.Context) error { return s.touches.close(ctx) }

var _ Store = (*RedisStore)(nil)

// Get implements [Store].
func (s *RedisStore) Get(ctx context.Context, ref Ref) (Session, error) {
	got, at, err := s.peek(ctx, ref)
	if err == nil {
		s.touches.read(at, got)
	}
	return got, err
}

// Peek implements [Store].
func (s *RedisStore) Peek(ctx context.Context, ref Ref) (Session, error) {
	got, _, err := s.peek(ctx, ref)
	return got, err
}

// peek also tells which ref answered.
func (s *RedisStore) peek(ctx context.Context, ref Ref) (Session, Ref, error) {
	return s.follow(ctx, ref, func(ref Ref) (Session, error) {
		value, err := s.cluster.Get(ctx, ref.key())
		if errors.Is(err, cluster.ErrNil) {
			return Session{}, ErrNotFound
		}
		if err != nil {
			return Session{}, err
		}
		return s.open(ctx, ref, value)
	})
}

// open turns what Redis holds into a session. For an ID from before a rotation, Redis is asked once more: its clock
// decides whether the grace is over.
func (s *RedisStore) open(ctx context.Context, ref Ref, value []byte) (Session, error) {
	rec, err := decodeRecord(value)
	if err != nil {
		return Session{}, err
	}
	if rec.kind == rotated {
		_, err := s.run(ctx, s.scripts.touch, ref, Guard{}.encode(), "", "")
		if err == nil {
			err = ErrNotFound // it was rotated a moment ago and is live now: not this ID
		}
		return Session{}, err
	}
	return rec.open(ref)
}

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, ref Ref, n New, key WriteKey) (Session, error) {
	return s.create(ctx, ref, n, key, ref.tenant.policy.MaxPerUser)
}

// unlisted in the place of a limit keeps a new session out of its user's index.
const unlisted = -1

// create is Create with another limit of the user's sessions; 0 is none.
func (s *RedisStore) create(ctx context.Context, ref Ref, n New, key WriteKey, limit int) (Session, error) {
	rec, max, err := newRecord(ref, n, key)
	if err != nil {
		return Session{}, err
	}
	evict := ""
	if ref.tenant.policy.EvictOldest {
		evict = "1"
	}
	created, err := s.write(ctx, s.scripts.create, ref, &n.Content, rec.writes[0][:], max.Microseconds(), rec.encode(),
		limit, evict, tombstoneLife.Milliseconds())
	if err == nil {
		created.User = n.User // a tombstone has forgotten it, where a retry comes behind a revocation
		s.metrics.created.WithLabelValues(ref.tenant.name).Inc()
	}
	return created, err
}

// newRecord is the record of a session to be created, but for its times, and its absolute TTL.
func newRecord(ref Ref, n New, key WriteKey) (record, time.Duration, error) {
	ttl, err := ref.tenant.policy.resolve(n.TTL)
	if err != nil {
		return record{}, 0, err
	}
	if err := errors.Join(checkUser(n.User), ref.tenant.policy.checkContent(n.Content)); err != nil {
		return record{}, 0, err
	}
	if n.User != "" && !ref.Serves(n.User) {
		return record{}, 0, ErrForeignSlot
	}
	rec := record{
		kind: live, version: 1, idle: ttl.Idle,
		user: n.User, meta: n.Meta, sealed: ref.seal.seal(n.Data, n.Meta),
	}
	rec.writes[0] = key.id("create")
	return rec, ttl.Max, nil
}

// Replace implements [Store].
func (s *RedisStore) Replace(ctx context.Context, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	if err := ref.tenant.policy.checkContent(c); err != nil {
		return Session{}, err
	}
	id := w.Key.id("replace")
	stored, _, err := s.follow(ctx, ref, func(ref Ref) (Session, error) {
		return s.replace(ctx, ref, c, ttl, id, w.Guard, nil, "")
	})
	return stored, err
}

// Upsert implements [Store].
func (s *RedisStore) Upsert(ctx context.Context, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	if ref.Issued() {
		return Session{}, ErrIssuedID
	}
	rec, max, err := newRecord(ref, New{Content: c, TTL: ttl}, w.Key)
	if err != nil {
		return Session{}, err
	}
	stored, _, err := s.follow(ctx, ref, func(at Ref) (Session, error) {
		if at != ref { // rotated: what is there is replaced, and nothing created under another ID
			return s.replace(ctx, at, c, ttl, rec.writes[0], w.Guard, nil, "")
		}
		return s.replace(ctx, at, c, ttl, rec.writes[0], w.Guard, rec.encode(), max.Microseconds())
	})
	return stored, err
}

// replace is one call of the script; with a record, that is stored if there is none.
func (s *RedisStore) replace(ctx context.Context, ref Ref, c Content, ttl TTL, id writeID, g Guard, record []byte, max any) (Session, error) {
	length, content := sealContent(ref, c)
	return s.write(ctx, s.scripts.replace, ref, &c,
		id[:], g.encode(), optional(ttl.Idle), optional(ttl.Max), length, content, record, max)
}

// sealContent is content as it stands in a record behind the user, and the length of its meta as it stands in a header.
func sealContent(ref Ref, c Content) (length, content []byte) {
	length = binary.BigEndian.AppendUint16(nil, uint16(len(c.Meta)))
	return length, append([]byte(c.Meta.Clone()), ref.seal.seal(c.Data, c.Meta)...)
}

// Touch implements [Store].
func (s *RedisStore) Touch(ctx context.Context, ref Ref, ttl TTL, g Guard) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	touched, _, err := s.follow(ctx, ref, func(ref Ref) (Session, error) {
		return s.write(ctx, s.scripts.touch, ref, nil, g.encode(), optional(ttl.Idle), optional(ttl.Max))
	})
	return touched, err
}

// Delete implements [Store].
func (s *RedisStore) Delete(ctx context.Context, ref Ref, d Deletion) error {
	id, args := d.args()
	_, _, err := s.follow(ctx, ref, func(ref Ref) (Session, error) {
		_, err := s.runDelete(ctx, ref, id, args)
		return Session{}, err
	})
	if errors.Is(err, ErrNotFound) { // reuse, or the end of a long chain
		return nil
	}
	if err == nil {
		s.metrics.revoked.WithLabelValues(ref.tenant.name).Inc()
	}
	return err
}

// args are the write's id and the script's arguments.
func (d Deletion) args() (writeID, []any) {
	id := d.Key.id("delete")
	life := any(tombstoneLife.Milliseconds())
	if d.Forget {
		life = ""
	}
	return id, []any{id[:], d.Guard.encode(), life, "", ""}
}

func (s *RedisStore) runDelete(ctx context.Context, ref Ref, id writeID, args []any) ([]byte, error) {
	reply, err := s.cluster.Run(ctx, s.scripts.delete, deleteKeys(ref, id), args...)
	if err != nil {
		return nil, err
	}
	return verdict(ref, reply)
}

func deleteKeys(ref Ref, id writeID) []string {
	return []string{ref.key(), ref.indexKey(), ref.markKey(id)}
}

// write runs a script that answers with the clear part of the session as the write made it, also when a retry found that
// it had been made before. The content is what was written.
func (s *RedisStore) write(ctx context.Context, script *cluster.Script, ref Ref, written *Content, args ...any) (Session, error) {
	value, err := s.run(ctx, script, ref, args...)
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
func (s *RedisStore) run(ctx context.Context, script *cluster.Script, ref Ref, args ...any) ([]byte, error) {
	reply, err := s.cluster.Run(ctx, script, []string{ref.key(), ref.indexKey()}, args...)
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

// id is the mark that the write leaves in the record. It depends on the operation: a key that is used for another one
// does not stand for this.
func (k WriteKey) id(operation string) (id writeID) {
	if k == "" {
		rand.Read(id[:])
		return id
	}
	sum := sha256.Sum256([]byte(operation + "\x00" + string(k)))
	return writeID(sum[:len(id)])
}

// encode is the guard as the scripts read it: the stamps as the 16 bytes that stand in a header.
func (g Guard) encode() []byte {
	if !g.Set {
		return nil
	}
	b := []byte{'='}
	for _, s := range g.AnyOf {
		b = binary.BigEndian.AppendUint64(b, s.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(s.Created.UnixMicro()))
	}
	return b
}

// optional is a TTL in microseconds, or the empty string for none.
func optional(d time.Duration) any {
	if d == 0 {
		return ""
	}
	return d.Microseconds()
}
