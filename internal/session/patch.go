package session

import (
	"context"
	"errors"
)

// maxRounds bounds how often a patch or a rotation starts again. A race is lost only to a write that succeeded through another
// instance, or that was no patch, so that so many writers may all come first. The deadline of the context usually ends it
// before.
const maxRounds = 1000

// Patch implements [Store].
func (s *RedisStore) Patch(ctx context.Context, terms *Terms, ref Ref, patch Patch, w Write) (Session, error) {
	done, err := s.turns.take(ctx, ref.key())
	if err != nil {
		return Session{}, err
	}
	defer done()
	id := w.Key.id("patch", patch.Meta, patch.Data) // the same in every round: only a round that succeeds leaves it
	for range maxRounds {
		patched, err := s.patchOnce(ctx, terms, ref, patch, w, id)
		if !lostRace(err, w.Guard) {
			return patched, err
		}
	}
	return Session{}, ErrContended
}

// patchOnce reads the session, patches it, and writes it back on condition that nobody wrote in between.
func (s *RedisStore) patchOnce(ctx context.Context, terms *Terms, ref Ref, patch Patch, w Write, id writeID) (Session, error) {
	old, at, err := s.peek(ctx, terms, ref)
	if err != nil {
		return Session{}, err
	}
	guard := only(old)
	if !w.Guard.Admits(old.Stamp()) {
		if w.Key == "" {
			return Session{}, ErrConflict
		}
		guard = Guard{Set: true} // nothing meets it, but the script recognises this patch if it was applied before
	}
	merged := patch.merge(old.content())
	if err := ref.tenant.policy.checkContent(merged); err != nil {
		return Session{}, err
	}
	stored, err := s.replace(ctx, terms, at, merged, replaceArgs{
		id: id, guard: guard, used: at.id == ref.id, content: sealedContent{format: old.format},
	})
	if err == nil && stored.Version <= old.Version {
		return old, nil // an earlier request with the same key made this write: old already holds it
	}
	return stored, err
}

// lostRace reports whether a write that read the session first failed because of a write in between, and may start again.
// With a guard from the caller, a conflict is the answer.
func lostRace(err error, caller Guard) bool {
	if _, rotatedInBetween := errors.AsType[*moved](err); rotatedInBetween {
		return true
	}
	return errors.Is(err, ErrConflict) && !caller.Set
}

// merge is the content with the patch applied.
func (p Patch) merge(c Content) Content {
	if p.Meta != nil {
		c.Meta = mergeMember(c.Meta, p.Meta)
	}
	if p.Data != nil {
		c.Data = mergeMember(c.Data, p.Data)
	}
	return c
}

// mergeMember patches one member of the session: null removes it.
func mergeMember(old, patch []byte) []byte {
	if string(patch) == "null" {
		return nil
	}
	return mergePatch(old, patch)
}
