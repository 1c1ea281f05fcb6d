package session

import (
	"context"
	"encoding/base64"
	"fmt"
)

// memberBytes is the length of an index member: 8 bytes of the user's hash, 8 bytes of the time of creation, and the name.
const memberBytes = 8 + 8 + nameChars

// ListUser implements [Store]. It goes on over slices of the index until the page is full.
func (s *RedisStore) ListUser(ctx context.Context, terms *Terms, t *Tenant, user, cursor string, limit int) ([]Session, string, error) {
	if err := checkUser(user); err != nil {
		return nil, "", err
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(after) != 0 && len(after) != memberBytes {
		return nil, "", ErrBadCursor
	}
	var page []Session
	for {
		part, next, err := s.listSlice(ctx, terms, t, user, after, limit-len(page))
		if err != nil {
			return nil, "", err
		}
		page = append(page, part...)
		if len(page) >= limit || len(next) == 0 {
			return page, base64.RawURLEncoding.EncodeToString(next), nil
		}
		after = next
	}
}

// listSlice also returns the index member behind which the list goes on; none at the end.
func (s *RedisStore) listSlice(ctx context.Context, terms *Terms, t *Tenant, user string, after []byte, limit int) (part []Session, next []byte, err error) {
	slot := t.inUserSlot(user)
	args := listArgs{keyPrefix: slot.keyPrefix(), user: user, after: after, limit: limit}
	reply, err := s.cluster.Query(ctx, terms, s.scripts.list, []string{slot.indexKey()}, args.list()...)
	if err != nil {
		return nil, nil, err
	}
	if reply[0] == "cursor" {
		return nil, nil, ErrBadCursor
	}
	next, rest := []byte(reply[1]), reply[2:]
	part = make([]Session, 0, len(rest)/2)
	for i := 0; i+1 < len(rest); i += 2 {
		h, err := t.ParseHandle(slot.tag.String() + rest[i])
		if err != nil {
			return nil, nil, err
		}
		listed, err := opened(Ref{Handle: h}, []byte(rest[i+1]), nil)
		if err != nil {
			return nil, nil, err
		}
		part = append(part, listed)
	}
	return part, next, nil
}

// RevokeUser implements [Store]. It revokes slice by slice, so that no call holds the shard for long, however many sessions
// the user has. Nothing is acknowledged before the last slice. Then no session is live that was so when the call began: the
// first slice notes the newest of them, and a slice begins at the oldest that is left, so that what a failover has undone, or
// a rotation has moved, is found again. What is created meanwhile is spared, which bounds the work.
func (s *RedisStore) RevokeUser(ctx context.Context, terms *Terms, t *Tenant, user string, except Handle) (int, error) {
	if err := checkUser(user); err != nil {
		return 0, err
	}
	slot, args := t.inUserSlot(user), revokeArgs{user: user}
	args.keyPrefix = slot.keyPrefix()
	if except.tenant != nil {
		if except.tag != slot.tag {
			return 0, ErrNotFound // it lies in another slot than all of this user's sessions
		}
		args.spare = except.name.String()
	}
	var total int
	for more := 1; more != 0; {
		args.id = WriteKey("").id("revoke")
		reply, err := s.cluster.Run(ctx, terms, s.scripts.revoke, []string{slot.indexKey(), slot.markKey(args.id)}, args.list()...)
		switch {
		case err != nil && args.upto != "":
			return total, afterOthers(err)
		case err != nil:
			return 0, err
		case reply[0] == "missing":
			return 0, ErrNotFound
		}
		var revoked int
		if _, err := fmt.Sscan(reply[1], &revoked, &args.upto, &more); err != nil {
			return total, fmt.Errorf("unexpected answer of a script: %q", reply)
		}
		s.metrics.revoked.WithLabelValues(t.name).Add(float64(revoked))
		total += revoked
	}
	return total, nil
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
