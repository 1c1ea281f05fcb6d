package scs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

// A store is the manager's scs.CtxStore. It goes by the binding of the request, and not by scs' token.
type store struct{ m *Manager }

var errNoContext = errors.New("sessiond/scs: the session of a request is in its context")

// Find, Commit and Delete are scs.Store, which scs does not call where there is scs.CtxStore.
func (s *store) Find(string) ([]byte, bool, error)      { return nil, false, errNoContext }
func (s *store) Commit(string, []byte, time.Time) error { return errNoContext }
func (s *store) Delete(string) error                    { return errNoContext }

// FindCtx reads the session of the request. That the service cannot be asked is an error, and never "no session".
func (s *store) FindCtx(ctx context.Context, _ string) ([]byte, bool, error) {
	b := s.m.bound(ctx)
	got, err := s.m.client.Get(ctx, b.id)
	if errors.Is(err, sessiond.ErrNotFound) {
		b.id = ""
		return s.fallback(ctx, b, b.sent)
	}
	if err != nil {
		return nil, false, err
	}
	stored := new(content)
	if json.Unmarshal(got.Data, stored) != nil || stored.Values == nil {
		b.id = ""
		return nil, false, nil // nothing that this package has stored
	}
	b.user, b.loaded = got.User, stored
	return got.Data, true, nil
}

// fallback looks for the session where the app has kept it before.
func (s *store) fallback(ctx context.Context, b *binding, token string) ([]byte, bool, error) {
	if s.m.Fallback == nil {
		return nil, false, nil
	}
	stored, found, err := s.m.Fallback.FindCtx(ctx, token)
	if err != nil || !found {
		return nil, false, err
	}
	deadline, all, err := fallbackCodec.Decode(stored)
	if err != nil {
		return nil, false, nil // nothing that this app has stored
	}
	b.moved = token
	text, err := codec{}.Encode(deadline, all)
	return text, err == nil, err
}

// CommitCtx creates the session, or merges into it what the request has changed. A session that was revoked meanwhile stays revoked.
func (s *store) CommitCtx(ctx context.Context, _ string, text []byte, _ time.Time) error {
	b := s.m.bound(ctx)
	var now content
	if err := json.Unmarshal(text, &now); err != nil {
		return err
	}
	if b.loaded == nil {
		return s.create(ctx, b, now)
	}
	err := s.update(ctx, b, now)
	if errors.Is(err, sessiond.ErrNotFound) {
		b.begin()
		b.gone = true
		return nil
	}
	return err
}

// update merges into the session what has changed, after it was logged in if it should have a user.
func (s *store) update(ctx context.Context, b *binding, now content) error {
	switch {
	case b.told == "" || b.told == b.user:
	case b.user == "":
		if err := b.became(s.m.client.Login(ctx, b.id, b.told)); err != nil {
			return err
		}
	default: // a session keeps its user
		former := b.id
		if err := s.create(ctx, b, now); err != nil {
			return err
		}
		return s.m.client.Delete(ctx, former)
	}
	patch := b.loaded.Values.Changes(now.Values)
	if len(patch) == 0 {
		return nil // the read has slid the idle deadline
	}
	_, err := s.m.client.Patch(ctx, b.id, sessiond.Content{Data: map[string]any{"values": patch}}, sessiond.Prefer("return=minimal"))
	if err == nil {
		b.loaded = &now
	}
	return err
}

func (s *store) create(ctx context.Context, b *binding, now content) error {
	life := max(time.Until(now.Deadline).Truncate(time.Millisecond), time.Millisecond)
	idle := s.m.IdleTimeout
	if idle == 0 || idle > life {
		idle = life
	}
	made, err := s.m.client.Create(ctx, sessiond.NewSession{
		User: b.told, Content: sessiond.Content{Data: now}, TTL: sessiond.TTL{Idle: sessiond.Duration(idle), Max: sessiond.Duration(life)},
	})
	if err != nil {
		return err
	}
	former := b.moved
	*b = binding{id: made.ID, user: made.User, loaded: &now, sent: b.sent, expires: made.ExpiresAt}
	if former == "" {
		return nil
	}
	return s.m.Fallback.DeleteCtx(ctx, former)
}

// DeleteCtx revokes the session of the request.
func (s *store) DeleteCtx(ctx context.Context, _ string) error {
	b := s.m.bound(ctx)
	if b.moved != "" {
		if err := s.m.Fallback.DeleteCtx(ctx, b.moved); err != nil {
			return err
		}
	}
	if b.id != "" {
		if err := s.m.client.Delete(ctx, b.id); err != nil {
			return err
		}
	}
	gone := b.gone
	b.begin()
	b.gone = gone
	return nil
}
