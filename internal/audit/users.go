package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// A namer names users in lines: plainly, or by HMAC-SHA256 (RFC 2104) under a key, in hexadecimal. Without the key nobody can
// try names until one fits.
type namer struct {
	plain bool
	key   []byte
}

func newNamer(plain bool, key []byte) namer {
	if key == nil {
		key = make([]byte, sha256.Size)
		rand.Read(key)
	}
	return namer{plain, key}
}

func (n namer) name(user string) string {
	if user == "" || n.plain {
		return user
	}
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil))
}
