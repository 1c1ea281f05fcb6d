package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"
)

// A WriteKey is a caller's own name for one write to one session. If the caller sends the same write again with the same
// key, through any instance, it takes effect once, as long as it is among the session's last four writes. Another write of
// the same kind with the same key fails with ErrKeyReused, as long as the first is among those four. The empty key stands
// for a random one.
type WriteKey string

// A writeID marks one write, so that a retry finds its own effect instead of causing it twice.
//
// The first bit says whether the caller gave a key. Without one, the other 63 bits are random. With one, there follow 39
// bits of a digest of the operation and the key, and 24 bits of a digest of the body. scripts/record.lua knows this layout.
// A record holds four IDs, so of one write with a key,
//
//   - the chance to be taken for a write with another key, and so to be lost, is 4 in 2^63;
//   - the chance to be refused because another key looks like its own is 4 in 2^39: one refusal in four years of a thousand
//     such writes each second, after which another key succeeds;
//   - the chance that a key used again with another body goes unnoticed is 1 in 2^24. That needs a caller's mistake first,
//     and nobody gains by causing it: the write that is lost is the caller's own.
//
// A write without a key is never taken for one with a key, and its chance to be taken for another is 4 in 2^63.
type writeID [8]byte

const (
	keyedBit    = 0x80 // of the first byte
	keyIDBytes  = 5    // the bit, and the digest of operation and key
	bodyIDBytes = len(writeID{}) - keyIDBytes
)

// id is what the write leaves in the record. It depends on the operation, so that a caller may use one key for a write of
// each kind, and on the parts of the body.
func (k WriteKey) id(operation string, body ...[]byte) (id writeID) {
	if k == "" {
		rand.Read(id[:])
		id[0] &^= keyedBit
		return id
	}
	name, content := sha256.New(), sha256.New()
	digest(name, []byte(operation))
	digest(name, []byte(k))
	for _, part := range body {
		digest(content, part)
	}
	copy(id[:], name.Sum(nil)[:keyIDBytes])
	copy(id[keyIDBytes:], content.Sum(nil)[:bodyIDBytes])
	id[0] |= keyedBit
	return id
}

// repeated reports whether a write that was applied before (again) was applied for an earlier request of the caller, and is
// counted there. Without a key it was an attempt of this very request, whose answer was lost. With a key, nobody can tell; a
// counter then rather lacks a write whose first answer was lost than counts every repetition.
func (k WriteKey) repeated(again bool) bool { return again && k != "" }

// digest adds a part with its length, so that no two lists of parts have the same sum.
func digest(h hash.Hash, part []byte) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
	h.Write(part)
}

// digestible is the TTL as a part of a body.
func (t TTL) digestible() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.Idle/time.Millisecond))
	return binary.BigEndian.AppendUint64(b, uint64(t.Max/time.Millisecond))
}
