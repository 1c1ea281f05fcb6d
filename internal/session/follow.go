package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// What happens to calls with an ID from before a rotation.

// maxHops bounds over how many rotations an old ID is followed.
const maxHops = 1000

// moved is a script's answer to an ID from before a rotation.
type moved struct {
	to    Ref
	reuse bool // the grace is over
}

func (m *moved) Error() string { return "the session was rotated" }

// successor opens the pointer in a rotated record and returns a *moved. The pointer is sealed under the old ID, so that only
// a caller with that ID can follow it.
func successor(ref Ref, value []byte, reuse bool) error {
	rec, err := decodeRecord(value)
	if err != nil {
		return err
	}
	id, err := ref.seal.open(rec.sealed, rec.meta)
	if err != nil {
		return fmt.Errorf("%w: the pointer to its successor cannot be decrypted", errCorrupt)
	}
	return &moved{to: ref.tenant.ref(string(id)), reuse: reuse}
}

// follow calls op at ref, and as long as that was rotated, at its successor. It also returns the ref that answered.
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

// reused revokes a session whose old ID was used after its grace: a thief has one of the two IDs, and nobody can tell
// which. It revokes the live end of the chain first, so that a crash leaves no session behind that can be used. If there is no
// live end, because the session expired, was revoked or logged in, this is no reuse: the ID leads nowhere.
func (s *RedisStore) reused(ctx context.Context, terms *Terms, old, next Ref) error {
	args := Deletion{}.args()
	chain := []Ref{old}
	for end := next; len(chain) < maxHops; {
		found, err := s.runDelete(ctx, terms, end, args)
		m, ok := errors.AsType[*moved](err)
		if !ok {
			if err != nil || !found.by("") {
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
	s.log.LogAttrs(ctx, slog.LevelWarn, "a rotated session ID was used after its grace period; the session was revoked",
		slog.Any("session", old.Handle), slog.Any("successor", next.Handle), slog.String("tenant", old.tenant.name))
	return nil
}
