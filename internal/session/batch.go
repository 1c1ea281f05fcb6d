package session

import (
	"context"
	"errors"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster"
)

// GetMany implements [Store].
func (s *RedisStore) GetMany(ctx context.Context, terms *Terms, refs []Ref) []Result {
	keys := make([]string, len(refs))
	for i, ref := range refs {
		keys[i] = ref.key()
	}
	results := make([]Result, len(refs))
	for i, got := range s.cluster.GetMany(ctx, terms, keys) {
		r := &results[i]
		switch {
		case errors.Is(got.Err, cluster.ErrNil):
			r.Err = ErrNotFound
		case got.Err != nil:
			r.Err = got.Err
		default:
			r.Session, r.Err = s.open(ctx, terms, refs[i], got.Bytes)
			if r.Err == nil {
				s.touches.peeked(refs[i], r.Session, true)
			}
		}
	}
	older, places := olderOf(refs, func(i int) bool { return errors.Is(results[i].Err, ErrNotFound) })
	for i := range results {
		if _, rotated := errors.AsType[*moved](results[i].Err); rotated {
			results[i].Session, results[i].Err = s.Peek(ctx, terms, refs[i])
		}
	}
	if len(older) > 0 {
		for i, r := range s.GetMany(ctx, terms, older) {
			results[places[i]] = r
		}
	}
	return results
}

// olderOf returns the refs of those that are missing under the next older secret, and their places among refs.
func olderOf(refs []Ref, missing func(i int) bool) (older []Ref, places []int) {
	for i, ref := range refs {
		if next, ok := ref.older(); ok && missing(i) {
			older, places = append(older, next), append(places, i)
		}
	}
	return older, places
}

// DeleteMany implements [Store].
func (s *RedisStore) DeleteMany(ctx context.Context, terms *Terms, refs []Ref) []error {
	calls := make([]cluster.Call, len(refs))
	for i, ref := range refs {
		args := Deletion{}.args()
		calls[i] = cluster.Call{Keys: []string{ref.key(), ref.indexKey(), ref.markKey(args.id)}, Args: args.list()}
	}
	errs := make([]error, len(refs))
	for i, r := range s.cluster.RunMany(ctx, terms, s.scripts.delete, calls) {
		errs[i] = r.Err
		if r.Err == nil {
			errs[i] = s.deletedOne(ctx, terms, refs[i], r.Reply)
		}
	}
	older, places := olderOf(refs, func(i int) bool { return errors.Is(errs[i], ErrNotFound) })
	if len(older) > 0 {
		for i, err := range s.DeleteMany(ctx, terms, older) {
			errs[places[i]] = err
		}
	}
	for i, err := range errs {
		if errors.Is(err, ErrNotFound) {
			errs[i] = nil
		}
	}
	return errs
}

// deletedOne ends one deletion of many, to which the script gave this answer. It returns ErrNotFound if nothing was there.
func (s *RedisStore) deletedOne(ctx context.Context, terms *Terms, ref Ref, reply []string) error {
	found, err := verdict(ref, reply)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	_, rotated := errors.AsType[*moved](err)
	switch {
	case rotated:
		return s.Delete(ctx, terms, ref, Deletion{})
	case err == nil && deletion(found).by(""):
		s.metrics.revoked.WithLabelValues(ref.tenant.name).Inc()
	}
	return err
}

// Walk implements [Store].
func (s *RedisStore) Walk(ctx context.Context, terms *Terms, t *Tenant, cursor string, limit int) ([]Handle, string, error) {
	keys, next, err := s.cluster.Scan(ctx, "{*}:s:"+t.name+":*", cursor, limit)
	switch {
	case errors.Is(err, cluster.ErrBadCursor):
		return nil, "", ErrBadCursor
	case errors.Is(err, cluster.ErrCursorExpired):
		return nil, "", ErrCursorExpired
	case err != nil:
		return nil, "", err
	}
	page := make([]Handle, 0, len(keys))
	for i, head := range s.cluster.Heads(ctx, terms, keys, 2) {
		if errors.Is(head.Err, cluster.ErrNil) || head.Err == nil && (len(head.Bytes) < 2 || kind(head.Bytes[1]) != live) {
			continue
		}
		if head.Err != nil {
			return nil, "", head.Err
		}
		tag, name, _ := strings.Cut(strings.TrimPrefix(keys[i], "{"), "}:s:"+t.name+":")
		if h, err := t.ParseHandle(tag + name); err == nil {
			page = append(page, h)
		}
	}
	return page, next, nil
}
