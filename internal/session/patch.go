package session

import (
	"context"
	"errors"
)

// patchRounds bounds how often a patch starts again. A lost race means that somebody else's write succeeded, so a
// session is written this often within one call before a patch gives up.
const patchRounds = 1000

// Patch implements [Store].
func (s *RedisStore) Patch(ctx context.Context, ref Ref, patch Patch, g Guard) (Session, error) {
	for range patchRounds {
		old, err := s.Get(ctx, ref)
		if err != nil {
			return Session{}, err
		}
		if !g.admits(old.Stamp()) {
			return Session{}, ErrConflict
		}
		merged := Content{Meta: old.Meta, Data: old.Data}
		if patch.Meta != nil {
			merged.Meta = mergeMember(old.Meta, patch.Meta)
		}
		if patch.Data != nil {
			merged.Data = mergeMember(old.Data, patch.Data)
		}
		stored, err := s.Replace(ctx, ref, merged, TTL{}, Guard{Set: true, AnyOf: []Stamp{old.Stamp()}})
		if errors.Is(err, ErrConflict) && !g.Set {
			continue
		}
		return stored, err
	}
	return Session{}, ErrContended
}

// admits is the guard as the scripts apply it.
func (g Guard) admits(s Stamp) bool {
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
