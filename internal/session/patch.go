package session

import (
	"context"
	"errors"
)

// patchRounds bounds how often a patch or a rotation starts again. A race is lost only to a write that succeeded through
// another instance, or that was no patch.
const patchRounds = 100

// Patch implements [Store].
func (s *RedisStore) Patch(ctx context.Context, terms *Terms, ref Ref, patch Patch, w Write) (Session, error) {
	done, err := s.turns.take(ctx, ref.key())
	if err != nil {
		return Session{}, err
	}
	defer done()
	id := w.Key.id("patch") // the same in every round: only a round that succeeds leaves it
	for range patchRounds {
		old, at, err := s.peek(ctx, terms, ref)
		if err != nil {
			return Session{}, err
		}
		guard := only(old)
		if !w.Guard.Admits(old.Stamp()) {
			if w.Key == "" {
				return Session{}, ErrConflict
			}
			guard = Guard{Set: true} // nothing meets it, but the script knows this very patch if it was made before
		}
		merged := Content{Meta: old.Meta, Data: old.Data}
		if patch.Meta != nil {
			merged.Meta = mergeMember(old.Meta, patch.Meta)
		}
		if patch.Data != nil {
			merged.Data = mergeMember(old.Data, patch.Data)
		}
		if err := ref.tenant.policy.checkContent(merged); err != nil {
			return Session{}, err
		}
		stored, err := s.replace(ctx, terms, at, merged, replaceArgs{id: id, guard: guard})
		_, rotatedMeanwhile := errors.AsType[*moved](err)
		if rotatedMeanwhile || errors.Is(err, ErrConflict) && !w.Guard.Set {
			continue
		}
		if err == nil && stored.Version <= old.Version {
			return old, nil // made by an earlier request under the same key: what it led to is what there is
		}
		return stored, err
	}
	return Session{}, ErrContended
}

// Admits is the guard as the scripts apply it.
func (g Guard) Admits(s Stamp) bool {
	if !g.Set {
		return true
	}
	for _, want := range g.AnyOf {
		if want.Version == s.Version && want.Created.Equal(s.Created) {
			return true
		}
	}
	return false
}

// mergeMember patches one member of the session: null removes it.
func mergeMember(old, patch []byte) []byte {
	if string(patch) == "null" {
		return nil
	}
	return mergePatch(old, patch)
}
