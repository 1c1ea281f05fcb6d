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

// seal encrypts data and authenticates meta, which is stored unencrypted beside it.
func (k sealKey) seal(data, meta []byte) []byte {
	return k.aead().Seal(nil, nil, data, additional(meta))
}

func (k sealKey) open(sealed, meta []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, sealed, additional(meta))
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

func additional(meta []byte) []byte {
	return append([]byte{recordFormat}, meta...)
}
