package session

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A record is a session as Redis holds it, in one string value: an unencrypted header of fixed length, the user, the meta,
// and the sealed data. With one string, a read is one GET, which any replica can serve. With fixed offsets, scripts patch
// the record by GETRANGE and SETRANGE and never parse JSON.
//
// If the offsets below change, change scripts/record.lua with them, and add a format.
//
//	 0  1  format: 1 or 2
//	 1  1  kind
//	 2  8  version, from 1
//	10  8  created, microseconds since 1970; with the version before it, the 16 bytes that an ETag names
//	18  8  last touched, microseconds since 1970
//	26  8  idle TTL, microseconds: whole milliseconds, plus 1 if the session is unused, see below
//	34  8  absolute deadline, microseconds since 1970
//	42 32  the last four write ids, newest first
//	74  2  length of user
//	76  2  length of meta
//	78 16  MAC of the user, in format 2
//	       user, meta, sealed data
//
// Whatever an app trusts is bound to the session's ID, which Redis does not have: meta and data by the seal, the user by its
// MAC. The version, the times and the TTLs are not, because scripts change them; a reader bounds them by the tenant's limit. In
// format 1, that of version 0.1.0, nothing binds the user. The seal authenticates the format too. So a record of format 2
// cannot be made one of format 1, and those of format 1 are gone when the sessions from before the upgrade have ended.
//
// Tombstones have format 1.
//
// A session is unused if it was made by a rotation, and nobody has used its own ID since: its answer may have been lost. As
// long as that is so, the ID from before the rotation leads to it, even after the grace.
//
// Integers are big-endian. The idle deadline is not stored: it is last touched plus idle TTL.
type record struct {
	format   format
	kind     kind
	version  uint64
	created  time.Time
	touched  time.Time
	idle     time.Duration
	unused   bool
	deadline time.Time
	writes   [4]writeID
	mac      userMAC // in format 2
	user     string
	meta     []byte
	sealed   []byte // empty if only the clear part was read
}

type kind byte

const (
	live      kind = 1
	tombstone kind = 2 // revoked recently; keeps a late create from bringing the session back
	rotated   kind = 3 // the ID from before a rotation: deadline is the end of its grace, meta the successor's name, data its ID
)

// A format is the layout of a record.
type format byte

const newestFormat format = 2

// userMACAt is where the header of format 1 ends, and where that of format 2 has the MAC of the user.
const userMACAt = 78

// headerSize is 0 for a format that this version does not know.
func (f format) headerSize() int {
	switch f {
	case 1:
		return userMACAt
	case 2:
		return userMACAt + len(userMAC{})
	}
	return 0
}

var errCorrupt = errors.New("corrupt session record")

// encode is the record for a create. The script fills in the times, by Redis' clock.
func (r record) encode() []byte {
	size := r.format.headerSize()
	b := make([]byte, size, size+len(r.user)+len(r.meta)+len(r.sealed))
	b[0], b[1] = byte(r.format), byte(r.kind)
	binary.BigEndian.PutUint64(b[2:], r.version)
	binary.BigEndian.PutUint64(b[10:], uint64(r.created.UnixMicro()))
	binary.BigEndian.PutUint64(b[18:], uint64(r.touched.UnixMicro()))
	idle := uint64(r.idle.Microseconds())
	if r.unused {
		idle++
	}
	binary.BigEndian.PutUint64(b[26:], idle)
	binary.BigEndian.PutUint64(b[34:], uint64(r.deadline.UnixMicro()))
	for i, w := range r.writes {
		copy(b[42+8*i:], w[:])
	}
	binary.BigEndian.PutUint16(b[74:], uint16(len(r.user)))
	binary.BigEndian.PutUint16(b[76:], uint16(len(r.meta)))
	copy(b[userMACAt:], r.mac[:]) // nothing in format 1
	b = append(b, r.user...)
	b = append(b, r.meta...)
	return append(b, r.sealed...)
}

// decodeRecord reads a whole record, or its clear part alone.
func decodeRecord(b []byte) (record, error) {
	if len(b) == 0 {
		return record{}, fmt.Errorf("%w: it is empty", errCorrupt)
	}
	size := format(b[0]).headerSize()
	if size == 0 {
		return record{}, fmt.Errorf("%w: format %d, but this version reads formats 1 to %d", errCorrupt, b[0], newestFormat)
	}
	if len(b) < size {
		return record{}, fmt.Errorf("%w: %d bytes", errCorrupt, len(b))
	}
	r := record{
		format:   format(b[0]),
		kind:     kind(b[1]),
		version:  binary.BigEndian.Uint64(b[2:]),
		created:  microTime(b[10:]),
		touched:  microTime(b[18:]),
		idle:     time.Duration(binary.BigEndian.Uint64(b[26:])) * time.Microsecond,
		deadline: microTime(b[34:]),
	}
	r.unused = r.idle%time.Millisecond != 0
	r.idle -= r.idle % time.Millisecond
	for i := range r.writes {
		copy(r.writes[i][:], b[42+8*i:])
	}
	copy(r.mac[:], b[userMACAt:size])
	user := size + int(binary.BigEndian.Uint16(b[74:]))
	meta := user + int(binary.BigEndian.Uint16(b[76:]))
	if meta > len(b) {
		return record{}, fmt.Errorf("%w: its fields are longer than the record", errCorrupt)
	}
	if r.kind != live && r.kind != tombstone && r.kind != rotated {
		return record{}, fmt.Errorf("%w: kind %d", errCorrupt, r.kind)
	}
	r.user, r.meta, r.sealed = string(b[size:user]), b[user:meta], b[meta:]
	return r, nil
}

// session is what a live record holds in the clear. What scripts change is bound to nothing, so that the tenant's limit bounds it.
func (r record) session(h Handle) Session {
	limit := h.tenant.policy.TTLLimit
	s := Session{
		Handle: h, User: r.user, Version: r.version,
		CreatedAt: r.created, TouchedAt: r.touched, IdleTTL: min(r.idle, limit),
		ExpiresAt: earlier(r.deadline, r.created.Add(limit)),
		unused:    r.unused, format: r.format,
	}
	if len(r.meta) > 0 {
		s.Meta = r.meta
	}
	return s
}

// open turns a whole live record into a session, and checks that all that the ID binds is what its holder stored.
func (r record) open(ref Ref) (Session, error) {
	if err := r.checkUser(ref); err != nil {
		return Session{}, err
	}
	s := r.session(ref.Handle)
	data, err := ref.seal.open(r.format, r.sealed, r.meta)
	if err != nil {
		return Session{}, fmt.Errorf("%w: the data cannot be decrypted", errCorrupt)
	}
	if len(data) > 0 {
		s.Data = data
	}
	return s, nil
}

// checkUser compares the user with its MAC, if the record has one.
func (r record) checkUser(ref Ref) error {
	if mac := ref.userMAC(r.user); r.format > 1 && subtle.ConstantTimeCompare(mac[:], r.mac[:]) == 0 {
		return fmt.Errorf("%w: it was not made for this user", errCorrupt)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func microTime(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
}
