package sessiond

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
)

func sessionsOf(user string) string { return "/v1/users/" + url.PathEscape(user) + "/sessions" }

// List returns all sessions of a user, the oldest first, without their data: the user's devices. It asks for page after page while the
// caller goes on, and stops at the first error.
func (c *Client) List(ctx context.Context, user string) iter.Seq2[*Session, error] {
	return func(yield func(*Session, error) bool) {
		for cursor := ""; ; {
			var page struct {
				Sessions []*Session `json:"sessions"`
				Next     string     `json:"next_cursor"`
			}
			path := sessionsOf(user) + "?cursor=" + url.QueryEscape(cursor)
			if _, err := c.do(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
				yield(nil, err)
				return
			}
			for _, s := range page.Sessions {
				if !yield(s, nil) {
					return
				}
			}
			if cursor = page.Next; cursor == "" {
				return
			}
		}
	}
}

// RevokeUser revokes all sessions of a user, but the one with the handle except, and returns how many: "log out everywhere". An empty
// handle spares none. It fails with ErrNotFound, and revokes nothing, if the handle is not that of a live session of the user.
func (c *Client) RevokeUser(ctx context.Context, user, except string) (int, error) {
	path := sessionsOf(user)
	if except != "" {
		path += "?except=" + url.QueryEscape(except)
	}
	var answer struct {
		Revoked int `json:"revoked"`
	}
	_, err := c.do(ctx, request{method: http.MethodDelete, path: path}, &answer)
	return answer.Revoked, err
}

// RevokeHandle revokes one session of a user. It returns nil if there is none.
func (c *Client) RevokeHandle(ctx context.Context, user, handle string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: sessionsOf(user) + "/" + url.PathEscape(handle)}, nil)
	return err
}

// A Result is one of many.
type Result struct {
	Session *Session
	Err     error
}

// GetMany reads up to 500 sessions at once, without sliding their idle deadlines. The results are in the order of the IDs.
func (c *Client) GetMany(ctx context.Context, ids ...string) ([]Result, error) {
	return c.many(ctx, "/v1/sessions:batchGet", ids, func(text json.RawMessage) (*Session, error) {
		s := new(Session)
		return s, json.Unmarshal(text, s)
	})
}

// DeleteMany revokes up to 500 sessions at once. The results are in the order of the IDs; they have no sessions.
func (c *Client) DeleteMany(ctx context.Context, ids ...string) ([]Result, error) {
	return c.many(ctx, "/v1/sessions:batchDelete", ids, func(json.RawMessage) (*Session, error) { return nil, nil })
}

func (c *Client) many(ctx context.Context, path string, ids []string, read func(json.RawMessage) (*Session, error)) ([]Result, error) {
	if ids == nil {
		ids = []string{}
	}
	var answer struct {
		Results []json.RawMessage `json:"results"`
	}
	if _, err := c.do(ctx, request{method: http.MethodPost, path: path, body: map[string][]string{"ids": ids}}, &answer); err != nil {
		return nil, err
	}
	results := make([]Result, len(answer.Results))
	for i, text := range answer.Results {
		p := new(Problem)
		if err := json.Unmarshal(text, p); err != nil {
			return nil, err
		}
		if p.Status != 0 { // no session has a status
			results[i].Err = p
			continue
		}
		var err error
		if results[i].Session, err = read(text); err != nil {
			return nil, err
		}
	}
	return results, nil
}
