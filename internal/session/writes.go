package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// The writes to one session, each one script call.

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey) (Session, error) {
	return s.create(ctx, terms, ref, n, key, ref.tenant.policy.MaxPerUser)
}

// unlisted in the place of a limit keeps a new session out of its user's index.
const unlisted = -1

// create is Create with another limit of the user's sessions; 0 is none.
func (s *RedisStore) create(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey, limit int) (Session, error) {
	rec, max, err := newRecord(ref, n, key)
	if err != nil {
		return Session{}, err
	}
	evict := ""
	if ref.tenant.policy.EvictOldest {
		evict = "1"
	}
	created, err := s.write(ctx, terms, s.scripts.create, ref, &n.Content, rec.writes[0][:], max.Microseconds(), rec.encode(),
		limit, evict, tombstoneLife.Milliseconds())
	if err == nil {
		created.User = n.User // a tombstone has forgotten it, where a retry comes behind a revocation
		s.metrics.countCreated(ref.tenant.name)
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
func (s *RedisStore) Replace(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	if err := ref.tenant.policy.checkContent(c); err != nil {
		return Session{}, err
	}
	id := w.Key.id("replace")
	stored, _, err := s.follow(ctx, terms, ref, func(ref Ref) (Session, error) {
		return s.replace(ctx, terms, ref, c, ttl, id, w.Guard, nil, "")
	})
	return stored, err
}

// Upsert implements [Store].
func (s *RedisStore) Upsert(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	if ref.Issued() {
		return Session{}, ErrIssuedID
	}
	rec, max, err := newRecord(ref, New{Content: c, TTL: ttl}, w.Key)
	if err != nil {
		return Session{}, err
	}
	stored, _, err := s.follow(ctx, terms, ref, func(at Ref) (Session, error) {
		if at != ref { // rotated: what is there is replaced, and nothing created under another ID
			return s.replace(ctx, terms, at, c, ttl, rec.writes[0], w.Guard, nil, "")
		}
		return s.replace(ctx, terms, at, c, ttl, rec.writes[0], w.Guard, rec.encode(), max.Microseconds())
	})
	return stored, err
}

// replace is one call of the script; with a record, that is stored if there is none.
func (s *RedisStore) replace(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, id writeID, g Guard, record []byte, max any) (Session, error) {
	length, content := sealContent(ref, c)
	return s.write(ctx, terms, s.scripts.replace, ref, &c,
		id[:], g.encode(), optional(ttl.Idle), optional(ttl.Max), length, content, record, max)
}

// sealContent is content as it stands in a record behind the user, and the length of its meta as it stands in a header.
func sealContent(ref Ref, c Content) (length, content []byte) {
	length = binary.BigEndian.AppendUint16(nil, uint16(len(c.Meta)))
	return length, append([]byte(c.Meta.Clone()), ref.seal.seal(c.Data, c.Meta)...)
}

// Touch implements [Store].
func (s *RedisStore) Touch(ctx context.Context, terms *Terms, ref Ref, ttl TTL, g Guard) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	touched, _, err := s.follow(ctx, terms, ref, func(ref Ref) (Session, error) {
		return s.write(ctx, terms, s.scripts.touch, ref, nil, g.encode(), optional(ttl.Idle), optional(ttl.Max))
	})
	return touched, err
}

// Delete implements [Store].
func (s *RedisStore) Delete(ctx context.Context, terms *Terms, ref Ref, d Deletion) error {
	id, args := d.args()
	_, _, err := s.follow(ctx, terms, ref, func(ref Ref) (Session, error) {
		_, err := s.runDelete(ctx, terms, ref, id, args)
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

func (s *RedisStore) runDelete(ctx context.Context, terms *Terms, ref Ref, id writeID, args []any) ([]byte, error) {
	return s.runOn(ctx, terms, s.scripts.delete, ref, ref.markKey(id), args...)
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
