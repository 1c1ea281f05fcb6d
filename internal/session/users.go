package session

import (
	"context"
	"encoding/base64"
	"strconv"
)

// memberBytes is the length of an index member: 8 bytes of the user's hash, 8 bytes of the time of creation, and the name.
const memberBytes = 8 + 8 + nameChars

// ListUser implements [Store].
func (s *RedisStore) ListUser(ctx context.Context, terms *Terms, t *Tenant, user, cursor string, limit int) ([]Session, string, error) {
	if err := checkUser(user); err != nil {
		return nil, "", err
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(after) != 0 && len(after) != memberBytes {
		return nil, "", ErrBadCursor
	}
	slot := t.inUserSlot(user)
	args := listArgs{keyPrefix: slot.keyPrefix(), user: user, after: after, limit: limit}
	reply, err := s.cluster.Query(ctx, terms, s.scripts.list, []string{slot.indexKey()}, args.list()...)
	if err != nil {
		return nil, "", err
	}
	if reply[0] == "cursor" {
		return nil, "", ErrBadCursor
	}
	next, rest := reply[1], reply[2:]
	page := make([]Session, 0, len(rest)/2)
	for i := 0; i+1 < len(rest); i += 2 {
		h, err := t.ParseHandle(slot.tag.String() + rest[i])
		if err != nil {
			return nil, "", err
		}
		listed, err := opened(Ref{Handle: h}, []byte(rest[i+1]), nil)
		if err != nil {
			return nil, "", err
		}
		page = append(page, listed)
	}
	return page, base64.RawURLEncoding.EncodeToString([]byte(next)), nil
}

// RevokeUser implements [Store].
func (s *RedisStore) RevokeUser(ctx context.Context, terms *Terms, t *Tenant, user string, except Handle) (int, error) {
	if err := checkUser(user); err != nil {
		return 0, err
	}
	slot, spare := t.inUserSlot(user), ""
	if except.tenant != nil {
		if except.tag != slot.tag {
			return 0, ErrNotFound // it lies in another slot than all of this user's sessions
		}
		spare = except.name.String()
	}
	args := revokeArgs{id: WriteKey("").id("revoke"), keyPrefix: slot.keyPrefix(), user: user, spare: spare}
	reply, err := s.cluster.Run(ctx, terms, s.scripts.revoke, []string{slot.indexKey(), slot.markKey(args.id)}, args.list()...)
	if err != nil {
		return 0, err
	}
	if reply[0] == "missing" {
		return 0, ErrNotFound
	}
	n, err := strconv.Atoi(reply[1])
	s.metrics.revoked.WithLabelValues(t.name).Add(float64(n))
	return n, err
}

// RevokeHandle implements [Store].
func (s *RedisStore) RevokeHandle(ctx context.Context, terms *Terms, user string, h Handle) error {
	if err := checkUser(user); err != nil {
		return err
	}
	if user == "" {
		return nil // an anonymous session is no user's; to the script, no owner would mean any
	}
	args := Deletion{}.args()
	args.owner = user
	found, err := s.runDelete(ctx, terms, Ref{Handle: h}, args)
	if err == nil && found.by("") {
		s.metrics.revoked.WithLabelValues(h.tenant.name).Inc()
	}
	return err
}
