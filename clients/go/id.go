package sessiond

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"strings"
)

// NewID makes a session ID in the format that the service issues (docs/ids.md), from 168 random bits. The session of a user, which lists,
// limits and revocations find, must have an ID made for that user; with an empty user the ID is for a session without one.
//
// With an ID of its own a caller can repeat a create: [Client.Create] makes one by itself.
func (c *Client) NewID(user string) string {
	var raw [24]byte
	rand.Read(raw[:])
	raw[0] = 1 // the format
	if user != "" {
		tag := sha512.Sum512([]byte("user/1\x00" + c.tenant + "\x00" + user))
		copy(raw[1:3], tag[:])
	}
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// wellFormed reports whether a session can have an ID: 22 to 128 of the unreserved characters (RFC 3986, section 2.3).
func wellFormed(id string) bool {
	if len(id) < 22 || len(id) > 128 {
		return false
	}
	return strings.IndexFunc(id, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~", c))
	}) < 0
}

// newWriteKey names one write, so that the service applies it once, however often it is sent.
func newWriteKey() string { return rand.Text() }
