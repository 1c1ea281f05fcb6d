package session

import (
	"context"
	"errors"
	"time"
)

// errOnward is the answer to a rotation that was applied before and whose successor is not live any more.
var errOnward = errors.New("the successor is not live any more")

// Rotate implements [Store].
func (s *RedisStore) Rotate(ctx context.Context, terms *Terms, ref Ref, rot Rotation, w Write) (Session, Ref, error) {
	if err := rot.check(); err != nil {
		return Session{}, Ref{}, err
	}
	done, err := s.turns.take(ctx, ref.key())
	if err != nil {
		return Session{}, Ref{}, err
	}
	defer done()
	id := w.Key.id("rotate")
	for range maxRounds {
		next, nextRef, err := s.rotateOnce(ctx, terms, ref, rot, w.Guard, id)
		if !lostRace(err, w.Guard) {
			return next, nextRef, err
		}
	}
	return Session{}, Ref{}, ErrContended
}

func (r Rotation) check() error {
	if r.Grace < 0 || r.Grace > MaxGrace || r.Grace%time.Millisecond != 0 {
		return &TTLError{Field: "grace", Limit: MaxGrace, why: "must be a whole number of milliseconds from 0 to 5m"}
	}
	return checkUser(r.User)
}

// rotateOnce reads the session and rotates it, on condition that nobody wrote in between.
func (s *RedisStore) rotateOnce(ctx context.Context, terms *Terms, ref Ref, rot Rotation, guard Guard, id writeID) (Session, Ref, error) {
	old, at, err := s.peek(ctx, terms, ref)
	if err != nil {
		return Session{}, Ref{}, err
	}
	login := rot.User != "" && rot.User != old.User
	switch {
	case !guard.Admits(old.Stamp()):
		return Session{}, Ref{}, ErrConflict
	case at.id != ref.id && !login: // another caller rotated it before: all get the end of the chain
		return s.confirm(ctx, terms, old, at, guard)
	case login && old.User != "":
		return Session{}, Ref{}, &ContentError{Field: "user", why: "differs from the session's user, which cannot change"}
	case login:
		return s.login(ctx, terms, at, old, rot, id)
	}
	return s.rotateHere(ctx, terms, at, old, rot.Grace, id)
}

// confirm writes to the successor that another rotation made, so that this caller too gets it with the durability of its
// terms.
func (s *RedisStore) confirm(ctx context.Context, terms *Terms, found Session, at Ref, guard Guard) (Session, Ref, error) {
	content := found.content()
	slid, err := s.write(ctx, terms, s.scripts.slide, at, &content, touchArgs{guard: guard}.list())
	return slid, at, err
}

// endOf returns the end of the chain for a rotation that succeeded, but whose successor others have rotated since. It begins
// at that successor, because the grace of the old ID may be over by now.
func (s *RedisStore) endOf(ctx context.Context, terms *Terms, next Ref) (Session, Ref, error) {
	for range maxRounds {
		found, at, err := s.peek(ctx, terms, next)
		if err != nil {
			return Session{}, Ref{}, err
		}
		end, at, err := s.confirm(ctx, terms, found, at, Guard{})
		if !lostRace(err, Guard{}) {
			return end, at, err
		}
	}
	return Session{}, Ref{}, ErrContended
}

// rotateHere gives the session a new ID in the same slot, in one write.
func (s *RedisStore) rotateHere(ctx context.Context, terms *Terms, ref Ref, old Session, grace time.Duration, id writeID) (Session, Ref, error) {
	next, content := ref.tenant.newRefIn(ref.tag), old.content()
	args := rotateArgs{
		id: id, guard: only(old), grace: grace, content: sealContent(next, content, s.format), successor: next.name,
		pointer: sealPointer(ref, next, s.format),
	}
	if s.format > 1 {
		mac := next.userMAC(old.User)
		args.mac = mac[:]
	}
	value, err := s.runOn(ctx, terms, s.scripts.rotate, ref, next.key(), args.list())
	if errors.Is(err, errOnward) {
		return s.endOf(ctx, terms, next)
	}
	if err != nil {
		return Session{}, Ref{}, err
	}
	rotated, err := opened(next, value, &content)
	if err == nil {
		s.metrics.rotated.WithLabelValues(ref.tenant.name).Inc()
	}
	return rotated, next, err
}
