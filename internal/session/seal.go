package session

import (
	"crypto/aes"
	"crypto/cipher"
)

// sealKey is an AES-256 key, derived from the ID: whoever has the ID can read the session, and nobody else, not Redis.
type sealKey [32]byte

// sealOverhead is what sealing adds: a 12-byte random nonce in front and a 16-byte tag behind (AES-GCM, NIST SP
// 800-38D). A random nonce, because two writers may race to the same version with different data.
const sealOverhead = 12 + 16

// seal encrypts data and authenticates meta, which is stored in the clear beside it.
func (k sealKey) seal(data, meta []byte) []byte {
	return k.aead().Seal(nil, nil, data, additional(meta))
}

func (k sealKey) open(sealed, meta []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, sealed, additional(meta))
}

func (k sealKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only a key of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only another block size
	}
	return aead
}

func additional(meta []byte) []byte {
	return append([]byte{recordFormat}, meta...)
}
