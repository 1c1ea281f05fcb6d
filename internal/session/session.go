// Package session is what a session is: its identity, its record, its life in time, and the store that keeps it in a
// Redis Cluster. It knows nothing of HTTP.
package session

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits on what a session stores unencrypted.
const (
	MaxUserBytes = 255  // of the user's name, in UTF-8
	MaxMetaBytes = 2048 // of meta, as JSON
)

// A Session is the state of one live session.
type Session struct {
	Handle  Handle
	User    string         // empty for an anonymous session
	Meta    jsontext.Value // a JSON object that listings may show; nil if there is none
	Data    jsontext.Value // any JSON value, byte for byte as the caller gave it; nil if there is none or it was not read
	Version uint64         // counts the writes that changed meta or data, from 1

	CreatedAt time.Time     // by Redis' clock, like all times here
	TouchedAt time.Time     // when it was last written or touched
	IdleTTL   time.Duration // the session expires if it is not used for this long
	ExpiresAt time.Time     // the absolute deadline, which use does not move

	unused bool   // see record
	format format // of its record
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

// A Stamp names one version in one life of a session. If an ID expires and is created again, that is another life: a
// condition on the first never holds for the second.
type Stamp struct {
	Version uint64
	Created time.Time // to the microsecond
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
	Limit int    // the largest length in bytes that would have been accepted; 0 if the length is not the reason
	why   string
}

func (e *ContentError) Error() string { return e.Field + " " + e.why }

// checkContent refuses content that the policy does not allow. It takes the whole content, since patches add up.
func (p Policy) checkContent(c Content) error {
	switch {
	case p.MaxContent > 0 && len(c.Meta)+len(c.Data) > p.MaxContent:
		return &ContentError{Field: "data", Limit: p.MaxContent, why: fmt.Sprintf("and meta together exceed %d bytes", p.MaxContent)}
	case len(c.Meta) > MaxMetaBytes:
		return &ContentError{Field: "meta", Limit: MaxMetaBytes, why: fmt.Sprintf("exceeds %d bytes", MaxMetaBytes)}
	case len(c.Meta) > 0 && c.Meta.Kind() != '{':
		return &ContentError{Field: "meta", why: "must be an object"}
	}
	return nil
}

// checkUser refuses names that a URL path or a log line cannot carry unchanged: proxies and clients remove the path segments
// "." and ".." (RFC 3986, section 5.2.4), and controls forge lines or show another name than the one that is meant.
func checkUser(user string) error {
	if len(user) > MaxUserBytes {
		return &ContentError{Field: "user", Limit: MaxUserBytes, why: fmt.Sprintf("exceeds %d bytes", MaxUserBytes)}
	}
	if !utf8.ValidString(user) {
		return &ContentError{Field: "user", why: "is not valid UTF-8"}
	}
	if user == "." || user == ".." {
		return &ContentError{Field: "user", why: "cannot be part of a path"}
	}
	if strings.ContainsFunc(user, func(c rune) bool { return unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) }) {
		return &ContentError{Field: "user", why: "contains a control character"}
	}
	return nil
}
