package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
)

// undoTimeout bounds the attempt to take back a session that a login made in vain, when the deadline of the request may
// have passed.
const undoTimeout = time.Second

// login carries an anonymous session over to a user. The two lie in different slots, so a login takes two writes: it
// creates a session in the user's slot, then retires the old one. Only one of several racers succeeds in the second; the
// others, and a login that finds the session changed, take their new session back. A crash in between leaves a session
// that nobody knows to expire.
func (s *RedisStore) login(ctx context.Context, terms *Terms, ref Ref, old Session, rot Rotation, id writeID) (Session, Ref, error) {
	next := ref.tenant.NewRef(rot.User)
	policy := ref.tenant.policy
	evict := policy.MaxPerUser > 0 && policy.EvictOldest
	limit := policy.MaxPerUser
	if evict {
		limit = unlisted // a racer that loses must evict nothing: room is made once the race is won
	}
	created, _, err := s.create(ctx, terms, next, loggedIn(old, rot.User, policy), "", limit)
	if err != nil {
		return Session{}, Ref{}, err
	}
	if _, err := s.run(ctx, terms, s.scripts.retire, ref, retireArgs{id: id, guard: only(old)}.list()); err != nil {
		s.takeBack(ctx, terms, next)
		return Session{}, Ref{}, err
	}
	if evict {
		if err := s.enlist(ctx, terms, next, enlistArgs{id: id, limit: policy.MaxPerUser}); err != nil {
			return Session{}, Ref{}, err
		}
	}
	s.metrics.rotated.WithLabelValues(ref.tenant.name).Inc()
	return created, next, nil
}

// loggedIn is the session that continues an anonymous one for a user.
func loggedIn(old Session, user string, p Policy) New {
	lifetime := min(old.MaxTTL(), p.TTLLimit) // the limit may be lower than when the old session was created
	return New{
		User:    user,
		Content: old.content(),
		TTL:     TTL{Idle: min(old.IdleTTL, lifetime), Max: lifetime},
	}
}

// takeBack deletes a session that a login created in vain.
func (s *RedisStore) takeBack(ctx context.Context, terms *Terms, ref Ref) {
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if _, err := s.delete(undo, terms, ref, Deletion{}); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a failed login left a session that nobody knows; it will expire",
			slog.Any("session", ref.Handle), slog.String("error", err.Error()))
	}
}

// enlist enters the session of a login that won into its user's index.
func (s *RedisStore) enlist(ctx context.Context, terms *Terms, ref Ref, args enlistArgs) error {
	_, err := s.run(ctx, terms, s.scripts.enlist, ref, args.list())
	return afterOthers(err)
}

// afterOthers is the error of an operation whose last write failed: that one may not have been applied, but those before were.
func afterOthers(err error) error {
	if errors.Is(err, cluster.ErrUnavailable) {
		return fmt.Errorf("%w: %s", cluster.ErrOutcomeUnknown, err)
	}
	return err
}
