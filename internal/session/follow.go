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
	to   Ref
	late bool // the grace is over
	dead bool // there was no grace: the ID leads nowhere
}

func (m *moved) Error() string { return "the session was rotated" }

// successor opens the pointer in a rotated record and returns a *moved. The pointer is sealed under the old ID, so that only
// a caller with that ID can follow it.
func successor(ref Ref, value []byte, late bool) error {
	rec, err := decodeRecord(value)
	if err != nil {
		return err
	}
	id, err := openPointer(ref, rec)
	if err != nil {
		return fmt.Errorf("%w: the pointer to its successor cannot be decrypted", errCorrupt)
	}
	to := ref.tenant.ref(string(id))
	for older, ok := to, true; ok; older, ok = older.older() {
		if older.name.String() == string(rec.meta) {
			to = older // the rotation may be from before the newest secret
		}
	}
	return &moved{to: to, late: late, dead: !rec.deadline.After(rec.touched)}
}

// follow calls op at ref, and as long as that was rotated, at its successor. What is not there under one secret it looks for
// under the next older one. It also returns the ref that answered.
func (s *RedisStore) follow(ctx context.Context, terms *Terms, ref Ref, op func(Ref) (Session, error)) (Session, Ref, error) {
	at := ref
	for range maxHops {
		got, err := op(at)
		if err == nil {
			return got, at, nil
		}
		if older, ok := at.older(); ok && errors.Is(err, ErrNotFound) {
			at = older
			continue
		}
		m, ok := errors.AsType[*moved](err)
		switch {
		case !ok:
			return got, at, err
		case m.late:
			leads, err := s.late(ctx, terms, at, m)
			if err != nil {
				return Session{}, at, err
			}
			if !leads {
				return Session{}, at, ErrNotFound
			}
		}
		at = m.to
	}
	return Session{}, at, ErrNotFound
}

// late judges the use of an old ID after its grace, and reports whether the ID leads to its successor all the same.
//
// If nobody has used the successor, there is one user: the caller, who never got the answer to the rotation. So the ID leads
// on, unless the rotation had no grace. If the successor was used, there are two users, of whom one is a thief, and nobody can
// tell which: late revokes the session. It revokes the live end of the chain first, so that a crash leaves no session behind
// that can be used. If there is no live end, because the session expired, was revoked or logged in, nothing is left to judge.
//
// Writes with the successor's own ID note its use in the same atomic step. A read does not wait: it has the use noted in the
// background (touches.go). Until that has happened, late may take the successor for unused. So theft is seen by the first use
// of the old ID after the note, not after the read. No session is revoked without cause, because only a use of the
// successor's own ID sets the note, and no theft goes unseen for good: the note is tried until the session ends, every further
// read sees that it is missing and tries again, and once set it stays. Between the two lie milliseconds in peace, and the grace
// gives them at least as long as it lasts.
func (s *RedisStore) late(ctx context.Context, terms *Terms, old Ref, m *moved) (leads bool, err error) {
	args := Deletion{}.args()
	args.spare = true // a successor that was rotated was used, so that this is for the first one only
	chain := []Ref{old}
	for end := m.to; len(chain) < maxHops; {
		found, err := s.runDelete(ctx, terms, end, args)
		next, ok := errors.AsType[*moved](err)
		if !ok {
			if err != nil || found == spared || !found.by("") {
				return found == spared && !m.dead, err
			}
			break
		}
		chain = append(chain, end)
		end = next.to
		args.spare = false
	}
	args.force, args.spare = true, false
	for _, ref := range chain {
		if _, err := s.runDelete(ctx, terms, ref, args); err != nil {
			return false, err
		}
	}
	s.metrics.reused.WithLabelValues(old.tenant.name).Inc()
	s.log.LogAttrs(ctx, slog.LevelWarn, "a rotated session ID was used after its grace period; the session was revoked",
		slog.Any("session", old.Handle), slog.Any("successor", m.to.Handle), slog.String("tenant", old.tenant.name))
	return false, nil
}
