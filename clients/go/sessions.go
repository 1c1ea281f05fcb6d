package sessiond

import (
	"context"
	"net/http"
	"time"
)

const (
	one     = "/v1/session" // with the ID in a header, which no log of a proxy shows
	bearsID = "Session-Id"
)

// Create stores a new session under an ID that it makes. It fails with ErrLimit if the user has as many sessions as may be.
func (c *Client) Create(ctx context.Context, n NewSession, options ...Option) (*Session, error) {
	return c.CreateAt(ctx, c.NewID(n.User), n, options...)
}

// CreateAt stores a new session at an ID: one of [Client.NewID], or, for a session without a user, any ID that the caller has. It fails
// with ErrExists if there is one, and with ErrRevoked if one was revoked there in the last five minutes.
func (c *Client) CreateAt(ctx context.Context, id string, n NewSession, options ...Option) (*Session, error) {
	h := repeatable(options)
	h.Set("If-None-Match", "*")
	return c.session(ctx, request{method: http.MethodPut, path: one, id: id, header: h, body: n})
}

// Get reads a session, and slides its idle deadline in the background.
func (c *Client) Get(ctx context.Context, id string, options ...Option) (*Session, error) {
	return c.session(ctx, request{method: http.MethodGet, path: one, id: id, header: headers(options)})
}

// Peek reads a session without sliding its idle deadline.
func (c *Client) Peek(ctx context.Context, id string, options ...Option) (*Session, error) {
	return c.session(ctx, request{method: http.MethodGet, path: one + "?touch=false", id: id, header: headers(options)})
}

// Replace stores content in place of the session's own. It never creates one: it fails with ErrNotFound if the session has ended.
func (c *Client) Replace(ctx context.Context, id string, content Content, ttl TTL, options ...Option) (*Session, error) {
	return c.session(ctx, request{method: http.MethodPut, path: one, id: id, header: repeatable(options), body: NewSession{Content: content, TTL: ttl}})
}

// Upsert replaces the session's content, or creates one without a user. It fails with ErrRevoked if one was revoked there in the last five
// minutes. A save after a log-out should rather be a [Client.Replace], which brings nothing back.
func (c *Client) Upsert(ctx context.Context, id string, content Content, ttl TTL, options ...Option) (*Session, error) {
	return c.session(ctx, request{method: http.MethodPut, path: one + "?upsert=true", id: id, header: repeatable(options), body: NewSession{Content: content, TTL: ttl}})
}

// Patch merges into the session's content (RFC 7396): a member that is null is removed. Concurrent patches of different members all
// survive. [MergePatch] makes one of two versions.
func (c *Client) Patch(ctx context.Context, id string, patch Content, options ...Option) (*Session, error) {
	h := repeatable(options)
	h.Set("Content-Type", "application/merge-patch+json")
	return c.session(ctx, request{method: http.MethodPatch, path: one, id: id, header: h, body: patch})
}

// Touch slides the idle deadline, and sets the TTLs that are given. The session that it returns has no data.
func (c *Client) Touch(ctx context.Context, id string, ttl TTL, options ...Option) (*Session, error) {
	return c.session(ctx, request{method: http.MethodPost, path: one + "/touch", id: id, header: headers(options), body: ttl})
}

// Delete revokes a session: no write under way can bring it back. It returns nil if there is none.
func (c *Client) Delete(ctx context.Context, id string, options ...Option) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: one, id: id, header: repeatable(options)}, nil)
	return err
}

// DefaultGrace is how long [Client.Rotate] lets the old ID lead to the session.
const DefaultGrace = 30 * time.Second

// Rotate gives the session a new ID, and returns the session with it. For the grace, DefaultGrace, the old ID still leads to the session, so that
// requests under way are served, and so that a rotation whose answer was lost can be repeated.
func (c *Client) Rotate(ctx context.Context, id string, options ...Option) (*Session, error) {
	return c.RotateFor(ctx, id, DefaultGrace, options...)
}

// Login gives the session a new ID and a user, in whose list it is from then on. The old ID is dead at once: whoever has planted it in a
// browser has nothing. A session that has another user stays what it is, and the call fails: delete it, and create one. It is not repeated
// if its answer is lost (ErrOutcomeUnknown): then the old session lives on, or the caller logs in anew.
func (c *Client) Login(ctx context.Context, id, user string, options ...Option) (*Session, error) {
	body := map[string]string{"user": user, "grace": "0s"}
	return c.session(ctx, request{method: http.MethodPost, path: one + "/rotate", id: id, header: headers(options), body: body, once: true})
}

// RotateFor is Rotate with another grace, of 5 minutes at most. With none, the old ID is dead at once, and the call is not repeated if
// its answer is lost.
func (c *Client) RotateFor(ctx context.Context, id string, grace time.Duration, options ...Option) (*Session, error) {
	body := map[string]Duration{"grace": Duration(grace)}
	return c.session(ctx, request{method: http.MethodPost, path: one + "/rotate", id: id, header: headers(options), body: body, once: grace == 0})
}

// session sends a request whose answer is a session.
func (c *Client) session(ctx context.Context, r request) (*Session, error) {
	s := new(Session)
	h, err := c.do(ctx, r, s)
	if err != nil {
		return nil, err
	}
	s.ETag = h.Get("ETag")
	if id := h.Get(bearsID); id != "" {
		s.ID = id
	}
	return s, nil
}
