package session

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// The format of the IDs that this service issues, which docs/ids.md publishes: one byte format, two bytes routing
// tag, 21 bytes from a CSPRNG, in base64url without padding.
const (
	idFormat = 1
	idBytes  = 24
	idChars  = 32

	minIDChars = 22 // 128 bits in base64url, the minimum for an ID that a caller chose
	maxIDChars = 128
)

var (
	// ErrMalformedID means that the text cannot be a session's ID.
	ErrMalformedID = errors.New("malformed session ID")
	// ErrMalformedHandle means that the text cannot be a session's handle.
	ErrMalformedHandle = errors.New("malformed session handle")
)

// A Handle is a session's public name: the tag and the name of its key. It finds and revokes, but never reads data.
type Handle struct {
	tenant *Tenant
	tag    tag
	name   name
}

// A Ref is the right to one session: its ID, with the handle and the seal key that are derived from it. It prints and logs
// as its handle. The ID is a credential; only the method ID gives it away.
type Ref struct {
	Handle
	id     string
	secret int // the index of the secret that was mixed in
	seal   sealKey
}

// A tag decides the hash slot: every key of a session carries it in braces. Base64url spreads the 65,536 tags over all but
// two of the 16,384 slots; hexadecimal would leave a fifth of them empty.
type tag [2]byte

func (t tag) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

type name [16]byte

const (
	tagChars  = 3
	nameChars = 22
)

func (n name) String() string { return base64.RawURLEncoding.EncodeToString(n[:]) }

// NewRef issues a new ID. With a user, the ID carries the user's tag, so that all sessions of one user and their index share
// a slot. Without, its tag is random.
func (t *Tenant) NewRef(user string) Ref {
	if user != "" {
		return t.newRefIn(t.userTag(user))
	}
	var random tag
	rand.Read(random[:])
	return t.newRefIn(random)
}

// newRefIn issues a new ID with the given tag.
func (t *Tenant) newRefIn(slot tag) Ref {
	var raw [idBytes]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
	raw[0] = idFormat
	copy(raw[1:3], slot[:])
	return t.ref(base64.RawURLEncoding.EncodeToString(raw[:]))
}

// ParseHandle reads what [Handle.String] wrote; anything else is ErrMalformedHandle.
func (t *Tenant) ParseHandle(text string) (Handle, error) {
	h := Handle{tenant: t}
	if len(text) != tagChars+nameChars {
		return Handle{}, ErrMalformedHandle
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(h.tag[:], []byte(text[:tagChars])); err != nil {
		return Handle{}, ErrMalformedHandle
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(h.name[:], []byte(text[tagChars:])); err != nil {
		return Handle{}, ErrMalformedHandle
	}
	return h, nil
}

// ParseRef accepts an ID that the service issued, or one that a caller chose: 22 to 128 characters of RFC 3986's unreserved
// set. Anything else is ErrMalformedID.
func (t *Tenant) ParseRef(id string) (Ref, error) {
	if len(id) < minIDChars || len(id) > maxIDChars {
		return Ref{}, fmt.Errorf("%w: it must have %d to %d characters", ErrMalformedID, minIDChars, maxIDChars)
	}
	for i := range len(id) {
		if !unreserved(id[i]) {
			return Ref{}, fmt.Errorf("%w: character %d is not a letter, a digit, '-', '.', '_' or '~'", ErrMalformedID, i+1)
		}
	}
	return t.ref(id), nil
}

// unreserved is RFC 3986, section 2.3.
func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

// ref is what belongs to an ID under the newest secret.
func (t *Tenant) ref(id string) Ref { return t.refUnder(0, id) }

// refUnder derives everything from one hash: 16 bytes of name, 32 bytes of seal key, and a tag if the ID carries none.
func (t *Tenant) refUnder(secret int, id string) Ref {
	r := Ref{Handle: Handle{tenant: t}, id: id, secret: secret}
	sum := r.derive("session/1", "")
	copy(r.name[:], sum[0:16])
	copy(r.seal[:], sum[16:48])
	if issued, ok := issuedTag(id); ok {
		r.tag = issued
	} else {
		copy(r.tag[:], sum[48:50])
	}
	return r
}

// older is what belongs to the ID under the next older secret; false if there is none.
func (r Ref) older() (Ref, bool) {
	if r.id == "" || r.secret+1 >= r.tenant.secrets.count() {
		return Ref{}, false
	}
	return r.tenant.refUnder(r.secret+1, r.id), true
}

// derive hashes the ID and the secret, and what else is given. The parts are separated by NUL, which neither a label nor a
// tenant's name nor an ID can contain. Whoever knows neither the ID nor the secret cannot tell the outcome from chance.
func (r Ref) derive(label, text string) [sha512.Size]byte {
	input := make([]byte, 0, 256)
	input = append(append(append(append(append(input, label...), 0), r.tenant.name...), 0), r.id...)
	if text != "" {
		input = append(append(input, 0), text...)
	}
	return r.tenant.secrets.digest(r.secret, input)
}

// userTag needs no secret: Redis holds the user in the clear.
func (t *Tenant) userTag(user string) tag {
	sum := sha512.Sum512([]byte("user/1\x00" + t.name + "\x00" + user))
	return tag(sum[:2])
}

func issuedTag(id string) (tag, bool) {
	if len(id) != idChars {
		return tag{}, false
	}
	var raw [idBytes]byte
	if _, err := base64.RawURLEncoding.Decode(raw[:], []byte(id)); err != nil || raw[0] != idFormat {
		return tag{}, false
	}
	return tag(raw[1:3]), true
}

// ID is the credential itself, for the answer to the caller that created the session. Never log it.
func (r Ref) ID() string { return r.id }

// Serves reports whether the ID carries the user's tag, and so lies in the slot of the user's other sessions.
func (r Ref) Serves(user string) bool {
	issued, ok := issuedTag(r.id)
	return ok && issued == r.tenant.userTag(user)
}

// key is the session's key in Redis.
func (h Handle) key() string {
	b := make([]byte, 0, 64)
	b = base64.RawURLEncoding.AppendEncode(append(b, '{'), h.tag[:])
	b = append(append(append(b, "}:s:"...), h.tenant.name...), ':')
	return string(base64.RawURLEncoding.AppendEncode(b, h.name[:]))
}

// keyPrefix is what the keys of all sessions of the tenant with this tag begin with.
func (h Handle) keyPrefix() string { return "{" + h.tag.String() + "}:s:" + h.tenant.name + ":" }

// indexKey is the key of the index of the users whose sessions have this tag.
func (h Handle) indexKey() string { return "{" + h.tag.String() + "}:u:" + h.tenant.name }

// markKey is the key that remembers a write for a minute, where no record can. It names the session too (inUserSlot: none),
// because a caller may use one Idempotency-Key for several sessions.
func (h Handle) markKey(id writeID) string {
	return "{" + h.tag.String() + "}:w:" + h.tenant.name + ":" + h.name.String() + base64.RawURLEncoding.EncodeToString(id[:])
}

// inUserSlot is a handle with the user's tag and no name. It names no session.
func (t *Tenant) inUserSlot(user string) Handle { return Handle{tenant: t, tag: t.userTag(user)} }

// String is the tag and the name, 25 characters of base64url.
func (h Handle) String() string { return string(h.AppendTo(make([]byte, 0, tagChars+nameChars))) }

// AppendTo appends what String returns.
func (h Handle) AppendTo(b []byte) []byte {
	b = base64.RawURLEncoding.AppendEncode(b, h.tag[:])
	return base64.RawURLEncoding.AppendEncode(b, h.name[:])
}

// Format writes the handle for every verb. With String alone, %d would print the fields, and so a Ref's ID.
func (h Handle) Format(f fmt.State, _ rune) { io.WriteString(f, h.String()) }

// LogValue is the handle.
func (h Handle) LogValue() slog.Value { return slog.StringValue(h.String()) }
