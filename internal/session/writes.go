package session

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

// The writes to one session. Each is one script call.

// Create implements [Store].
func (s *RedisStore) Create(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey) (Session, error) {
	created, again, err := s.createOnce(ctx, terms, ref, n, key)
	if errors.Is(err, ErrExists) && s.buryEnded(ctx, terms, ref) {
		created, again, err = s.createOnce(ctx, terms, ref, n, key)
	}
	if err == nil && !key.repeated(again) {
		s.countCreated(ref.tenant, n)
	}
	return created, err
}

// createOnce also reports whether the session had been created before.
func (s *RedisStore) createOnce(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey) (created Session, again bool, err error) {
	switch found, err := s.underOlder(ctx, terms, ref); {
	case err != nil:
		return Session{}, false, err
	case found == live:
		return Session{}, false, ErrExists
	case found != 0:
		return Session{}, false, ErrRevoked
	}
	return s.create(ctx, terms, ref, n, key, ref.tenant.policy.MaxPerUser)
}

// create is Create with its own limit on the user's sessions, see createArgs. It also reports whether the session had been
// created before.
func (s *RedisStore) create(ctx context.Context, terms *Terms, ref Ref, n New, key WriteKey, limit int) (created Session, again bool, err error) {
	rec, max, err := s.newRecord(ref, n, key)
	if err != nil {
		return Session{}, false, err
	}
	args := createArgs{id: rec.writes[0], maxTTL: max, record: rec.encode(), limit: limit, evict: ref.tenant.policy.EvictOldest}
	created, again, err = s.writeOnce(ctx, terms, s.scripts.create, ref, &n.Content, args.list())
	created.User = n.User // after a revocation, a retry finds a tombstone, which holds no user
	return created, again, err
}

// newRecord returns the record of a session to be created, without its times, and its max TTL.
func (s *RedisStore) newRecord(ref Ref, n New, key WriteKey) (record, time.Duration, error) {
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
		format: s.format, kind: live, version: 1, idle: ttl.Idle, mac: ref.userMAC(n.User),
		user: n.User, meta: n.Meta, sealed: ref.seal.seal(s.format, n.Data, n.Meta),
	}
	rec.writes[0] = key.id("create", []byte(n.User), n.Meta, n.Data, n.TTL.digestible())
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
	args := replaceArgs{
		id: w.Key.id("replace", c.Meta, c.Data, ttl.digestible()), guard: w.Guard, ttl: ttl, content: sealedContent{format: s.format},
	}
	stored, _, err := s.follow(ctx, terms, ref, func(at Ref) (Session, error) {
		args.used = at.id == ref.id
		return s.replace(ctx, terms, at, c, args)
	})
	return stored, err
}

// Upsert implements [Store].
func (s *RedisStore) Upsert(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	stored, err := s.upsertOnce(ctx, terms, ref, c, ttl, w)
	_, over := errors.AsType[*TTLError](err) // the max TTL too counts from when the session was made
	if unguarded := !w.Guard.Set && !w.Guard.Exists; unguarded && (over || errors.Is(err, ErrNotFound)) && s.buryEnded(ctx, terms, ref) {
		return s.upsertOnce(ctx, terms, ref, c, ttl, w)
	}
	return stored, err
}

func (s *RedisStore) upsertOnce(ctx context.Context, terms *Terms, ref Ref, c Content, ttl TTL, w Write) (Session, error) {
	rec, max, err := s.newRecord(ref, New{Content: c, TTL: ttl}, w.Key)
	if err != nil {
		return Session{}, err
	}
	args := replaceArgs{id: rec.writes[0], guard: w.Guard, ttl: ttl, content: sealedContent{format: s.format}}
	orCreate := args
	orCreate.used = true
	orCreate.create = &createArgs{record: rec.encode(), maxTTL: max}
	var again bool
	_, older := ref.older()
	stored, _, err := s.follow(ctx, terms, ref, func(at Ref) (stored Session, err error) {
		if at != ref || older { // rotated: the successor may be replaced, but nothing is created under another ID
			args.used = at.id == ref.id
			return s.replace(ctx, terms, at, c, args)
		}
		stored, again, err = s.replaceOnce(ctx, terms, at, c, orCreate)
		return stored, err
	})
	if older && errors.Is(err, ErrNotFound) {
		stored, again, err = s.createUnderNewest(ctx, terms, ref, c, orCreate)
	}
	if err == nil && stored.Version == 1 && !w.Key.repeated(again) { // a replace would have made it 2 or more
		s.countCreated(ref.tenant, New{Content: c})
	}
	return stored, err
}

// buryEnded reports whether the ID had a session, under any secret, that has ended by the tenant's limit, which was lowered, while its key
// lives on. It deletes such a session, and no other that somebody may make at the ID meanwhile.
func (s *RedisStore) buryEnded(ctx context.Context, terms *Terms, ref Ref) (ended bool) {
	for at, ok := ref, true; ok; at, ok = at.older() {
		value, err := s.cluster.Get(ctx, terms, at.key())
		if err != nil {
			continue
		}
		rec, err := decodeRecord(value)
		if err != nil || rec.kind != live {
			continue
		}
		found, err := rec.open(at)
		if err != nil || !errors.Is(s.checkTimes(ctx, terms, rec, found), ErrNotFound) {
			continue
		}
		this := Guard{Set: true, AnyOf: []Stamp{found.Stamp()}}
		_, err = s.runDelete(ctx, terms, at, Deletion{Write: Write{Guard: this}, Forget: true}.args())
		ended = ended || err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) // or somebody else was faster
	}
	return ended
}

func (s *RedisStore) countCreated(t *Tenant, n New) {
	s.metrics.countCreated(t.name)
	s.census.usage.add(t.name, n)
}

// createUnderNewest is an upsert of what was not found under any secret. What an older one has left of a session, a tombstone
// or an ID from before a rotation, keeps it from coming back.
func (s *RedisStore) createUnderNewest(ctx context.Context, terms *Terms, ref Ref, c Content, args replaceArgs) (stored Session, again bool, err error) {
	switch found, err := s.underOlder(ctx, terms, ref); {
	case err != nil:
		return Session{}, false, err
	case found == tombstone:
		return Session{}, false, ErrRevoked
	case found == rotated:
		return Session{}, false, ErrNotFound
	}
	stored, again, err = s.replaceOnce(ctx, terms, ref, c, args)
	if _, moved := errors.AsType[*moved](err); moved { // to a session that was not found
		err = ErrNotFound
	}
	return stored, again, err
}

// underOlder returns the kind of the record that the ID has under an older secret; 0 if it has none.
func (s *RedisStore) underOlder(ctx context.Context, terms *Terms, ref Ref) (kind, error) {
	for at, ok := ref.older(); ok; at, ok = at.older() {
		value, err := s.cluster.Get(ctx, terms, at.key())
		if errors.Is(err, cluster.ErrNil) {
			continue
		}
		if err != nil {
			return 0, err
		}
		rec, err := decodeRecord(value)
		return rec.kind, err
	}
	return 0, nil
}

// replace seals the content for ref and runs the script on it, with the other arguments as they are.
func (s *RedisStore) replace(ctx context.Context, terms *Terms, ref Ref, c Content, args replaceArgs) (Session, error) {
	stored, _, err := s.replaceOnce(ctx, terms, ref, c, args)
	return stored, err
}

// replaceOnce is replace that also reports whether the write had been applied before. It takes the record for one of the format
// in the arguments. If it is of another, which it stays until the session ends, two more round trips are needed: the record is
// read first, because sealing anew what somebody else has made would make it good.
func (s *RedisStore) replaceOnce(ctx context.Context, terms *Terms, ref Ref, c Content, args replaceArgs) (stored Session, again bool, err error) {
	args.content = sealContent(ref, c, args.content.format)
	stored, again, err = s.writeOnce(ctx, terms, s.scripts.replace, ref, &c, args.list())
	if errors.Is(err, errFormat) {
		found, _, err := s.peek(ctx, terms, ref)
		if err != nil {
			return Session{}, false, err
		}
		args.content = sealContent(ref, c, found.format)
		return s.writeOnce(ctx, terms, s.scripts.replace, ref, &c, args.list())
	}
	return stored, again, err
}

// errFormat is the script's answer if the content was sealed for another format than the record's.
var errFormat = errors.New("the record has another format")

// sealedContent is content as a record holds it.
type sealedContent struct {
	format     format // of the record
	metaLength []byte // as in the header, two bytes
	bytes      []byte // what follows the user: the meta in the clear, and the sealed data
}

func sealContent(ref Ref, c Content, f format) sealedContent {
	return sealedContent{
		format:     f,
		metaLength: binary.BigEndian.AppendUint16(nil, uint16(len(c.Meta))),
		bytes:      append([]byte(c.Meta.Clone()), ref.seal.seal(f, c.Data, c.Meta)...),
	}
}

// Touch implements [Store]. It takes the whole record, because the seal that binds the meta to the ID is one with the data.
func (s *RedisStore) Touch(ctx context.Context, terms *Terms, ref Ref, ttl TTL, g Guard) (Session, error) {
	if err := ref.tenant.policy.check(ttl); err != nil {
		return Session{}, err
	}
	touched, _, err := s.follow(ctx, terms, ref, func(at Ref) (Session, error) {
		return s.write(ctx, terms, s.scripts.touch, at, nil, touchArgs{guard: g, ttl: ttl, used: at.id == ref.id, whole: true}.list())
	})
	touched.Data = nil
	return touched, err
}

// Delete implements [Store].
func (s *RedisStore) Delete(ctx context.Context, terms *Terms, ref Ref, d Deletion) error {
	revoked, err := s.delete(ctx, terms, ref, d)
	if err == nil && revoked {
		s.metrics.revoked.WithLabelValues(ref.tenant.name).Inc()
	}
	return err
}

// delete also reports whether it revoked a session.
func (s *RedisStore) delete(ctx context.Context, terms *Terms, ref Ref, d Deletion) (revoked bool, err error) {
	args := d.args()
	var found deletion
	var chain []Ref
	_, _, err = s.follow(ctx, terms, ref, func(at Ref) (Session, error) {
		chain = append(chain, at)
		found, err = s.runDelete(ctx, terms, at, args)
		if _, more := at.older(); more && err == nil && found == "" {
			err = ErrNotFound // under this secret
		}
		return Session{}, err
	})
	if err == nil {
		chain = chain[:len(chain)-1] // without the session itself
	}
	if errors.Is(err, ErrNotFound) { // reuse, or the end of a long chain
		err = nil
	}
	if err == nil && d.Forget {
		err = s.freeAll(ctx, terms, chain, args)
	}
	return found.by(d.Key), err
}

// freeAll ends a forgetting deletion at an ID from before a rotation: that ID too can be used again at once. It goes from the
// session back to the caller's ID, so that after a crash a repetition still finds the way.
func (s *RedisStore) freeAll(ctx context.Context, terms *Terms, chain []Ref, args deleteArgs) error {
	args.guard, args.force = Guard{}, true
	for _, old := range slices.Backward(chain) {
		if _, err := s.runDelete(ctx, terms, old, args); err != nil {
			return err
		}
	}
	return nil
}

// args are the script's arguments for this deletion of any user's session.
func (d Deletion) args() deleteArgs {
	return deleteArgs{id: d.Key.id("delete"), guard: d.Guard, forget: d.Forget}
}

// A deletion is what the script found.
type deletion string

const (
	deletedNow   deletion = "revoked" // a session, which it revoked
	spared       deletion = "unused"  // a session that it was to spare
	deletedAgain deletion = "again"   // that an earlier request or attempt with the same write ID had revoked the session
)

// by reports whether a deletion with this key revoked a session. See [WriteKey.repeated].
func (d deletion) by(key WriteKey) bool {
	return d == deletedNow || d == deletedAgain && !key.repeated(true)
}

func (s *RedisStore) runDelete(ctx context.Context, terms *Terms, ref Ref, args deleteArgs) (deletion, error) {
	found, err := s.runOn(ctx, terms, s.scripts.delete, ref, ref.markKey(args.id), args.list())
	return deletion(found), err
}
