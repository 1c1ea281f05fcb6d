package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

// undoTimeout bounds the attempt to take back a session that a login made in vain, when its own time may be up.
const undoTimeout = time.Second

// maxHops bounds how many rotations an old ID is followed over.
const maxHops = 1000

// moved is a script's answer to an ID from before a rotation.
type moved struct {
	to    Ref
	reuse bool // the grace is over
}

func (m *moved) Error() string { return "the session was rotated" }

// successor opens the pointer in a rotated record. It is sealed under the old ID, so only who has that ID can follow.
func successor(ref Ref, value []byte, reuse bool) error {
	rec, err := decodeRecord(value)
	if err != nil {
		return err
	}
	id, err := ref.seal.open(rec.sealed, rec.meta)
	if err != nil {
		return fmt.Errorf("%w: the pointer does not open", errCorrupt)
	}
	return &moved{to: ref.tenant.ref(string(id)), reuse: reuse}
}

// follow calls op, and again at the successor while the ID is from before a rotation. It returns the ref that answered.
func (s *RedisStore) follow(ctx context.Context, terms *Terms, ref Ref, op func(Ref) (Session, error)) (Session, Ref, error) {
	at := ref
	for range maxHops {
		got, err := op(at)
		m, ok := errors.AsType[*moved](err)
		switch {
		case !ok:
			return got, at, err
		case m.reuse:
			if err := s.reused(ctx, terms, at, m.to); err != nil {
				return Session{}, at, err
			}
			return Session{}, at, ErrNotFound
		}
		at = m.to
	}
	return Session{}, at, ErrNotFound
}

// reused revokes the session whose old ID was used after its grace: the thief has one of the two, and nobody can tell
// which. The live end goes first, so that a crash leaves the evidence to be found again.
func (s *RedisStore) reused(ctx context.Context, terms *Terms, old, next Ref) error {
	args := Deletion{}.args()
	chain := []Ref{old}
	for end := next; len(chain) < maxHops; {
		_, err := s.runDelete(ctx, terms, end, args)
		m, ok := errors.AsType[*moved](err)
		if !ok {
			if err != nil {
				return err
			}
			break
		}
		chain = append(chain, end)
		end = m.to
	}
	args.force = true
	for _, ref := range chain {
		if _, err := s.runDelete(ctx, terms, ref, args); err != nil {
			return err
		}
	}
	s.metrics.reused.WithLabelValues(old.tenant.name).Inc()
	s.log.LogAttrs(ctx, slog.LevelWarn, "a rotated session ID was used after its grace: the session is revoked",
		slog.Any("session", old.Handle), slog.Any("successor", next.Handle), slog.String("tenant", old.tenant.name))
	return nil
}

// Rotate implements [Store].
func (s *RedisStore) Rotate(ctx context.Context, terms *Terms, ref Ref, rot Rotation, w Write) (Session, Ref, error) {
	if rot.Grace < 0 || rot.Grace > MaxGrace || rot.Grace%time.Millisecond != 0 {
		return Session{}, Ref{}, &TTLError{Field: "grace", Limit: MaxGrace, why: "must be whole milliseconds, 5m at most"}
	}
	if err := checkUser(rot.User); err != nil {
		return Session{}, Ref{}, err
	}
	done, err := s.turns.take(ctx, ref.key())
	if err != nil {
		return Session{}, Ref{}, err
	}
	defer done()
	id := w.Key.id("rotate")
	for range patchRounds {
		old, at, err := s.peek(ctx, terms, ref)
		if err != nil {
			return Session{}, Ref{}, err
		}
		login := rot.User != "" && rot.User != old.User
		if at != ref && !login { // somebody rotated before us: all get the same successor
			return s.confirm(ctx, terms, old, at)
		}
		if !w.Guard.Admits(old.Stamp()) {
			return Session{}, Ref{}, ErrConflict
		}
		rotate := s.rotateHere
		if login {
			if old.User != "" {
				return Session{}, Ref{}, &ContentError{Field: "user", why: "is not the session's, which has another"}
			}
			rotate = s.login
		}
		next, nextRef, err := rotate(ctx, terms, at, old, rot, id)
		_, rotatedMeanwhile := errors.AsType[*moved](err)
		if rotatedMeanwhile || errors.Is(err, ErrConflict) && !w.Guard.Set {
			continue
		}
		return next, nextRef, err
	}
	return Session{}, Ref{}, ErrContended
}

// confirm makes sure that what another rotation made survives its master, before it is told as the outcome of this one.
func (s *RedisStore) confirm(ctx context.Context, terms *Terms, found Session, at Ref) (Session, Ref, error) {
	slid, err := s.write(ctx, terms, s.scripts.slide, at, &Content{Meta: found.Meta, Data: found.Data}, touchArgs{}.list())
	return slid, at, err
}

// rotateHere gives the session a new ID in the same slot, in one step.
func (s *RedisStore) rotateHere(ctx context.Context, terms *Terms, ref Ref, old Session, rot Rotation, id writeID) (Session, Ref, error) {
	next := ref.tenant.newRefIn(ref.tag)
	content := Content{Meta: old.Meta, Data: old.Data}
	args := rotateArgs{
		id: id, guard: only(old), grace: rot.Grace, content: sealContent(next, content),
		pointer: ref.seal.seal([]byte(next.id), []byte(next.name.String())), successor: next.name,
	}
	value, err := s.runOn(ctx, terms, s.scripts.rotate, ref, next.key(), args.list())
	if err != nil {
		return Session{}, Ref{}, err
	}
	rotated, err := opened(next, value, &content)
	if err == nil {
		s.metrics.rotated.WithLabelValues(ref.tenant.name).Inc()
	}
	return rotated, next, err
}

// login carries an anonymous session over to a user. The two lie in different slots, so it takes two steps: a session in
// the user's slot, and then the end of the old one, which only one of several racers brings about. The others, and who
// finds the session changed meanwhile, take their own back. A crash in between leaves the old session to expire.
func (s *RedisStore) login(ctx context.Context, terms *Terms, ref Ref, old Session, rot Rotation, id writeID) (Session, Ref, error) {
	next := ref.tenant.NewRef(rot.User)
	policy := ref.tenant.policy
	lifetime := min(old.MaxTTL(), policy.TTLLimit) // the limit may have been lowered since
	n := New{
		User: rot.User, Content: Content{Meta: old.Meta, Data: old.Data},
		TTL: TTL{Idle: min(old.IdleTTL, lifetime), Max: lifetime},
	}
	evict := policy.MaxPerUser > 0 && policy.EvictOldest
	limit := policy.MaxPerUser
	if evict {
		limit = unlisted // a racer that will lose must evict nothing: room is made when the race is won
	}
	created, err := s.create(ctx, terms, next, n, "", limit)
	if err != nil {
		return Session{}, Ref{}, err
	}
	if _, err := s.run(ctx, terms, s.scripts.retire, ref, retireArgs{id: id, guard: only(old)}.list()); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		if undoErr := s.Delete(undo, terms, next, Deletion{}); undoErr != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "a session that nobody knows is left to expire",
				slog.Any("session", next.Handle), slog.String("error", undoErr.Error()))
		}
		return Session{}, Ref{}, err
	}
	if evict {
		if _, err := s.run(ctx, terms, s.scripts.enlist, next, enlistArgs{id: id, limit: policy.MaxPerUser}.list()); err != nil {
			if errors.Is(err, cluster.ErrUnavailable) { // of this step; the one before was applied
				err = fmt.Errorf("%w: %s", cluster.ErrOutcomeUnknown, err)
			}
			return Session{}, Ref{}, err
		}
	}
	s.metrics.rotated.WithLabelValues(ref.tenant.name).Inc()
	return created, next, nil
}

// only is the guard that admits just this version.
func only(s Session) Guard { return Guard{Set: true, AnyOf: []Stamp{s.Stamp()}} }
