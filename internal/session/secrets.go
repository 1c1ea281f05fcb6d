package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"errors"
	"fmt"
)

// minSecretBytes is the length of a secret at least: 256 bits.
const minSecretBytes = 32

// Secrets are keys of the service itself, without which nobody can tell from an ID what Redis holds of its session, nor make a
// record for it. They are mixed into everything that is derived from IDs (HMAC, RFC 2104). A nil *Secrets mixes nothing in: then
// an ID alone is the key, so that who can read Redis may guess the weak ones among IDs of callers' own making, and who can
// write to it may make a session of any user for an ID of his own.
//
// The newest secret names and seals new sessions. Those from before it are found by the older ones: a session that is not there
// under one secret is looked for under the next. So a change of secrets logs nobody out, and costs a few more round trips for
// each ID that is older than it, or unknown, as long as the older secret is kept: until the longest TTL has passed.
//
// All instances must know a secret before one of them uses it as the newest. Add it behind the others first, and move it to the
// front once all instances have it. While the two orders are served side by side, two creates with the same ID of a caller's
// own making that race each other may both succeed.
type Secrets struct {
	keys [][]byte // newest first; nil stands for none
}

// NewSecrets takes the secrets, newest first, each of at least 32 random bytes. An empty one stands for sessions from before
// there were secrets.
func NewSecrets(keys ...[]byte) (*Secrets, error) {
	if len(keys) == 0 {
		return nil, errors.New("there are no secrets")
	}
	for i, k := range keys {
		if len(k) > 0 && len(k) < minSecretBytes {
			return nil, fmt.Errorf("secret %d has %d bytes; it needs at least %d", i+1, len(k), minSecretBytes)
		}
		for j := range i {
			if bytes.Equal(keys[j], k) {
				return nil, fmt.Errorf("secrets %d and %d are the same", j+1, i+1)
			}
		}
	}
	return &Secrets{keys: keys}, nil
}

// count is how many secrets there are, none being one.
func (s *Secrets) count() int {
	if s == nil {
		return 1
	}
	return len(s.keys)
}

// digest mixes the secret at the index into a hash of the text.
func (s *Secrets) digest(index int, text []byte) [sha512.Size]byte {
	if s == nil || len(s.keys[index]) == 0 {
		return sha512.Sum512(text)
	}
	mac := hmac.New(sha512.New, s.keys[index])
	mac.Write(bytes.Clone(text)) // a copy, so that without a secret the text stays on the stack
	return [sha512.Size]byte(mac.Sum(nil))
}
