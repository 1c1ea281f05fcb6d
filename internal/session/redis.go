package session

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

// tombstoneLife is how long a revoked session's ID stays unusable. It has to outlive every write that may still be
// under way when the session is revoked.
const tombstoneLife = 5 * time.Minute

// RedisStore is the [Store] in a Redis Cluster. A read is one GET, a write one script call.
type RedisStore struct {
	cluster *cluster.Client
	scripts scripts
}

// NewRedisStore keeps sessions in the cluster. The caller keeps and closes the client.
func NewRedisStore(c *cluster.Client) *RedisStore {
	return &RedisStore{cluster: c, scripts: loadScripts()}
}

var _ Store = (*RedisStore)(nil)

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, ref Ref, n New) (Session, error) {
	ttl, err := ref.tenant.policy.resolve(n.TTL)
	if err != nil {
		return Session{}, err
	}
	if err := errors.Join(checkUser(n.User), n.check()); err != nil {
		return Session{}, err
	}
	if n.User != "" && !ref.Serves(n.User) {
		return Session{}, ErrForeignSlot
	}
	rec := record{
		kind: live, version: 1, idle: ttl.Idle,
		user: n.User, meta: n.Meta, sealed: ref.seal.seal(n.Data, n.Meta),
	}
	id := newWriteID()
	rec.writes[0] = id
	return s.write(ctx, s.scripts.create, ref, &n.Content, id[:], ttl.Max.Microseconds(), rec.encode())
}

// Get implements [Store].
func (s *RedisStore) Get(ctx context.Context, ref Ref) (Session, error) {
	value, err := s.cluster.Get(ctx, ref.key())
	if errors.Is(err, cluster.ErrNil) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, err
	}
	rec, err := decodeRecord(value)
	if err != nil {
		return Session{}, err
	}
	return rec.open(ref)
}

// Replace implements [Store].
func (s *RedisStore) Replace(ctx context.Context, ref Ref, c Content, ttl TTL, g Guard) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	if err := c.check(); err != nil {
		return Session{}, err
	}
	id := newWriteID()
	metaLength := binary.BigEndian.AppendUint16(nil, uint16(len(c.Meta)))
	content := append(c.Meta.Clone(), ref.seal.seal(c.Data, c.Meta)...)
	return s.write(ctx, s.scripts.replace, ref, &c,
		id[:], g.encode(), optional(ttl.Idle), optional(ttl.Max), metaLength, []byte(content))
}

// Touch implements [Store].
func (s *RedisStore) Touch(ctx context.Context, ref Ref, ttl TTL, g Guard) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	return s.write(ctx, s.scripts.touch, ref, nil, g.encode(), optional(ttl.Idle), optional(ttl.Max))
}

// Delete implements [Store].
func (s *RedisStore) Delete(ctx context.Context, ref Ref, g Guard) error {
	id := newWriteID()
	_, err := s.run(ctx, s.scripts.delete, ref, id[:], g.encode(), tombstoneLife.Milliseconds())
	return err
}

// write runs a script that answers with the session it leaves behind: its clear part, or, when a retry found its own
// effect, the whole record, which a neighbour may have changed since. The data of the clear part is what was written.
func (s *RedisStore) write(ctx context.Context, script *cluster.Script, ref Ref, written *Content, args ...any) (Session, error) {
	value, err := s.run(ctx, script, ref, args...)
	if err != nil {
		return Session{}, err
	}
	rec, err := decodeRecord(value)
	if err != nil {
		return Session{}, err
	}
	stored, err := rec.open(ref)
	if len(rec.sealed) == 0 && written != nil {
		stored.Data = written.Data
	}
	return stored, err
}

// run translates a script's verdict. What comes with it is returned as it is.
func (s *RedisStore) run(ctx context.Context, script *cluster.Script, ref Ref, args ...any) ([]byte, error) {
	reply, err := s.cluster.Run(ctx, script, []string{ref.key()}, args...)
	if err != nil {
		return nil, err
	}
	verdict, value := reply[0], []byte(nil)
	if len(reply) > 1 {
		value = []byte(reply[1])
	}
	switch verdict {
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
	case "over":
		return nil, &TTLError{Field: "max_ttl", why: "lies before now, counted from creation"}
	}
	return nil, fmt.Errorf("script answered %q", verdict)
}

func newWriteID() (id writeID) {
	rand.Read(id[:])
	return id
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
