// Package session is what a session is: its identity, its record, its life in time, and the store that keeps it in a
// Redis Cluster. It knows nothing of HTTP.
package session

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits on what a session may hold in the clear.
const (
	MaxUserBytes = 255  // of a user's name, UTF-8
	MaxMetaBytes = 2048 // of meta, as JSON
)

// A Session is the state of one live session.
type Session struct {
	Handle  Handle
	User    string         // empty for an anonymous session
	Meta    jsontext.Value // a JSON object that listings may show; nil if there is none
	Data    jsontext.Value // any JSON value, byte for byte as it was given; nil if there is none or if it was not read
	Version uint64         // counts the writes that changed meta or data, from 1

	CreatedAt time.Time     // by Redis' clock, as all times here
	TouchedAt time.Time     // when it was last written or touched
	IdleTTL   time.Duration // it expires when it has not been used for so long
	ExpiresAt time.Time     // the absolute deadline, however much it is used
}

// IdleExpiresAt is when the session expires if it is not used again.
func (s Session) IdleExpiresAt() time.Time {
	if idle := s.TouchedAt.Add(s.IdleTTL); idle.Before(s.ExpiresAt) {
		return idle
	}
	return s.ExpiresAt
}

// MaxTTL is the absolute lifetime, from creation.
func (s Session) MaxTTL() time.Duration { return s.ExpiresAt.Sub(s.CreatedAt) }

// Stamp names the version of this session and the life it belongs to.
func (s Session) Stamp() Stamp { return Stamp{Version: s.Version, Created: s.CreatedAt} }

// A Stamp names one version in one life of a session. An ID that expired and was created again starts another life, so
// that a condition on the first never holds for the second.
type Stamp struct {
	Version uint64
	Created time.Time // microseconds count
}

// Content is what a caller may store in a session.
type Content struct {
	Meta jsontext.Value // an object of at most MaxMetaBytes, or nil
	Data jsontext.Value // any value, or nil
}

// content is what a caller stored in the session.
func (s Session) content() Content { return Content{Meta: s.Meta, Data: s.Data} }

// A ContentError says which member cannot be stored and why.
type ContentError struct {
	Field string // "user", "meta" or "data"
	Limit int    // bytes that would have been accepted; 0 if it is not a matter of length
	why   string
}

func (e *ContentError) Error() string { return e.Field + " " + e.why }

// check refuses content that no session of this tenant may hold. It looks at the whole, since patches add up.
func (p Policy) checkContent(c Content) error {
	switch {
	case p.MaxContent > 0 && len(c.Meta)+len(c.Data) > p.MaxContent:
		return &ContentError{Field: "data", Limit: p.MaxContent, why: fmt.Sprintf("and meta are longer than %d bytes together", p.MaxContent)}
	case len(c.Meta) > MaxMetaBytes:
		return &ContentError{Field: "meta", Limit: MaxMetaBytes, why: "is longer than 2048 bytes"}
	case len(c.Meta) > 0 && c.Meta.Kind() != '{':
		return &ContentError{Field: "meta", why: "must be an object"}
	}
	return nil
}

// checkUser refuses names that a path or a log line could not carry faithfully.
func checkUser(user string) error {
	if len(user) > MaxUserBytes {
		return &ContentError{Field: "user", Limit: MaxUserBytes, why: "is longer than 255 bytes"}
	}
	if !utf8.ValidString(user) {
		return &ContentError{Field: "user", why: "is not valid UTF-8"}
	}
	for _, c := range user {
		if c < ' ' || c == 0x7f {
			return &ContentError{Field: "user", why: "holds a control character"}
		}
	}
	return nil
}
