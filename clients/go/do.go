package sessiond

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// A request is one call of the API.
type request struct {
	method string
	path   string // with the query
	id     string // of the session; empty for none
	header http.Header
	body   any // encoded as JSON, unless it is nil

	// once says that the request must not be sent again if it may have taken effect.
	once bool
}

// maxAnswer bounds an answer in memory, in bytes: 4 MiB of sessions, and as much again for how they are written.
const maxAnswer = 16 << 20

// do sends a request until an instance has answered or the context ends, and decodes the answer into it, unless that is nil.
func (c *Client) do(ctx context.Context, r request, into any) (http.Header, error) {
	if (r.path == one || strings.HasPrefix(r.path, one+"?") || strings.HasPrefix(r.path, one+"/")) && !wellFormed(r.id) {
		return nil, malformed(r)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("sessiond: the content cannot be encoded: %w", err)
		}
	}
	doubt := false // an attempt may have taken effect
	for round := 0; ; round++ {
		index, base := c.instances.next(time.Now())
		header, err := c.attempt(ctx, base, r, body, into)
		if !leaves(err) {
			c.instances.served(index)
			return header, err
		}
		doubt = doubt || uncertain(err) && r.method != http.MethodGet
		if errors.Is(ctx.Err(), context.Canceled) { // by the caller: that says nothing of the instance
			return nil, final(ctx.Err(), doubt)
		}
		c.instances.avoid(index, time.Now())
		if doubt && r.once || !pause(ctx, round, len(c.instances.bases)) {
			return nil, final(err, doubt)
		}
	}
}

// attempt sends a request to one instance.
func (c *Client) attempt(ctx context.Context, base string, r request, body []byte, into any) (http.Header, error) {
	if !r.once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.patience)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("sessiond: %w", err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.id != "" {
		req.Header.Set("Session-ID", r.id)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, &unanswered{err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, &unanswered{err}
	}
	if answer.StatusCode >= http.StatusMultipleChoices && answer.StatusCode != http.StatusNotModified {
		return nil, newProblem(answer, text)
	}
	if into != nil && len(text) > 0 {
		if err := json.Unmarshal(text, into); err != nil {
			return nil, fmt.Errorf("sessiond: the answer cannot be decoded: %w", err)
		}
	}
	return answer.Header, nil
}

// An unanswered request has no answer: its instance cannot be reached, or took too long.
type unanswered struct{ err error }

func (e *unanswered) Error() string { return e.err.Error() }
func (e *unanswered) Unwrap() error { return e.err }

// leaves reports whether another instance may do better.
func leaves(err error) bool {
	var lost *unanswered
	if errors.As(err, &lost) {
		return true
	}
	var p *Problem
	return errors.As(err, &p) && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusBadGateway || p.Status == http.StatusGatewayTimeout)
}

// uncertain reports whether a request that has failed in this way may have taken effect.
func uncertain(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return !p.unapplied()
	}
	var op *net.OpError
	return !errors.As(err, &op) || op.Op != "dial" // without a connection nothing was sent
}

// A givenUp is the error of a request that no instance has served. It is one of the two that say so, and no other, whatever its cause says
// of the last attempt alone.
type givenUp struct {
	is    error // ErrUnavailable or ErrOutcomeUnknown
	cause error
}

func (e *givenUp) Error() string { return e.is.Error() + ": " + e.cause.Error() }

// Is matches the context's errors too.
func (e *givenUp) Is(target error) bool {
	return target == e.is || (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.cause, target)
}

// As finds the *Problem of the last attempt.
func (e *givenUp) As(target any) bool { return errors.As(e.cause, target) }

// final is the error of a request that is given up.
func final(err error, doubt bool) error {
	if doubt {
		return &givenUp{ErrOutcomeUnknown, err}
	}
	return &givenUp{ErrUnavailable, err}
}

// malformed is the answer about an ID that no session can have. Nobody need be asked, and a header could not carry all of them.
func malformed(r request) error {
	if r.method == http.MethodPut && (r.header.Get("If-None-Match") != "" || strings.Contains(r.path, "upsert")) {
		return errors.New("sessiond: the session ID is malformed: it has 22 to 128 of the characters A-Z a-z 0-9 - . _ ~")
	}
	if r.method == http.MethodDelete {
		return nil
	}
	return ErrNotFound
}

// pause waits before another attempt: not at all before each instance had one, and then for longer and longer, up to half a second. It
// returns false if the context ends first.
func pause(ctx context.Context, round, instances int) bool {
	if round < instances-1 {
		return ctx.Err() == nil
	}
	d := 10 * time.Millisecond << min(round, 5)
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
