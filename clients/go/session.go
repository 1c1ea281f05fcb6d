package sessiond

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A Session is what the service tells of one. A call that changes a session without reading it leaves Data empty.
type Session struct {
	ID      string          `json:"id"`      // of a session that was created or has a new ID; empty otherwise. A credential: never log it
	Handle  string          `json:"handle"`  // its public name, which finds and revokes, and reads nothing
	User    string          `json:"user"`    // empty for none
	Meta    json.RawMessage `json:"meta"`    // an object that lists show; nil for none
	Data    json.RawMessage `json:"data"`    // any JSON value; nil for none
	Version uint64          `json:"version"` // counts the writes of Meta or Data, from 1

	CreatedAt     time.Time `json:"created_at"`
	LastTouchedAt time.Time `json:"last_touched_at"`
	IdleTTL       Duration  `json:"idle_ttl"` // how long it lives without being used
	IdleExpiresAt time.Time `json:"idle_expires_at"`
	MaxTTL        Duration  `json:"max_ttl"` // how long it lives at most, from its creation
	ExpiresAt     time.Time `json:"expires_at"`

	ETag string `json:"-"` // names this version of it, for If-Match
}

// A Duration is a [time.Duration] as the service writes it, such as "30m". The zero Duration in a request means the service's default.
type Duration time.Duration

// MarshalJSON implements [json.Marshaler].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("sessiond: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// Content is what an app stores in a session. Both must encode as JSON, Meta as an object. Nil leaves one out.
type Content struct {
	Meta any `json:"meta,omitempty"` // at most 2048 bytes, which lists show; not sealed
	Data any `json:"data,omitempty"` // sealed: nobody reads it without the ID
}

// TTL says how long a session lives. A zero duration leaves it as it is, or at the service's default for a new session.
type TTL struct {
	Idle Duration `json:"idle_ttl,omitzero"` // without being used
	Max  Duration `json:"max_ttl,omitzero"`  // from its creation
}

// NewSession is a session to be created.
type NewSession struct {
	User string `json:"user,omitempty"` // empty for a session without a user
	Content
	TTL
}

// An Option makes a call conditional, or says which copies it needs.
type Option func(http.Header)

// IfMatch lets a write take effect only if the session is at the version with this entity tag; otherwise it fails with ErrConflict.
func IfMatch(etag string) Option { return func(h http.Header) { h.Set("If-Match", etag) } }

// Prefer adds a preference (RFC 7240): durability=async, replicated or strict of a write; read=master or read=stale of a read.
func Prefer(preference string) Option { return func(h http.Header) { h.Add("Prefer", preference) } }

func headers(options []Option) http.Header {
	h := http.Header{}
	for _, o := range options {
		o(h)
	}
	return h
}

// repeatable is headers for a write that the service then applies once, however often it is sent.
func repeatable(options []Option) http.Header {
	h := headers(options)
	if h.Get("Idempotency-Key") == "" {
		h.Set("Idempotency-Key", newWriteKey())
	}
	return h
}
