package session

import (
	"crypto/aes"
	"crypto/cipher"
)

// A sealKey is an AES-256 key derived from the ID. Only a caller with the ID can read the session's data; Redis cannot.
type sealKey [32]byte

// sealOverhead is what sealing adds: a random nonce of 12 bytes in front and a tag of 16 bytes behind (AES-GCM, NIST SP
// 800-38D). The nonce is random because two writers may race to the same version with different data.
const sealOverhead = 12 + 16

// seal encrypts data and authenticates meta, which is stored unencrypted beside it, and the format of the record. So a record
// cannot be passed off as one of an older format, which authenticates less.
func (k sealKey) seal(f format, data, meta []byte) []byte {
	return k.aead().Seal(nil, nil, data, additional(f, meta))
}

func (k sealKey) open(f format, sealed, meta []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, sealed, additional(f, meta))
}

func (k sealKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only for a key of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for another block size
	}
	return aead
}

func additional(f format, meta []byte) []byte {
	return append([]byte{byte(f)}, meta...)
}

// pointer stands for the format of a record in the seals of pointers from old IDs to their successors, so that no pointer is
// good as the content of a session. Version 0.1.0 reads and writes them under that of its records, 1.
const pointer format = 0

func sealPointer(old, next Ref, f format) []byte {
	under := pointer
	if f == 1 {
		under = 1
	}
	return old.seal.seal(under, []byte(next.id), []byte(next.name.String()))
}

// openPointer returns the successor's ID.
func openPointer(old Ref, rec record) ([]byte, error) {
	if id, err := old.seal.open(pointer, rec.sealed, rec.meta); err == nil {
		return id, nil
	}
	return old.seal.open(1, rec.sealed, rec.meta)
}

// A userMAC binds the user of a session to its ID: Redis holds the user in the clear.
type userMAC [16]byte

// userMAC is a hash keyed by the ID, which stands in front of the user. It is cut off, so that nobody can extend it.
func (r Ref) userMAC(user string) userMAC {
	sum := r.derive("owner/1", user)
	return userMAC(sum[:])
}
