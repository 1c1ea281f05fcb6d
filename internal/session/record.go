package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A record is a session as Redis holds it, in one string value: an unencrypted header of fixed length, the user, the meta,
// and the sealed data. With one string, a read is one GET, which any replica can serve. With fixed offsets, scripts patch
// the record by GETRANGE and SETRANGE and never parse JSON.
//
// If the offsets below change, change scripts/record.lua with them, and recordFormat too.
//
//	 0  1  format
//	 1  1  kind
//	 2  8  version, from 1
//	10  8  created, microseconds since 1970; with the version before it, the 16 bytes that an ETag names
//	18  8  last touched, microseconds since 1970
//	26  8  idle TTL, microseconds: whole milliseconds, plus 1 if the session is unused, see below
//	34  8  absolute deadline, microseconds since 1970
//	42 32  the last four write ids, newest first
//	74  2  length of user
//	76  2  length of meta
//	78     user, meta, sealed data
//
// A session is unused if it was made by a rotation, and nobody has used its own ID since: its answer may have been lost. As
// long as that is so, the ID from before the rotation leads to it, even after the grace.
//
// Integers are big-endian. The idle deadline is not stored: it is last touched plus idle TTL.
type record struct {
	kind     kind
	version  uint64
	created  time.Time
	touched  time.Time
	idle     time.Duration
	unused   bool
	deadline time.Time
	writes   [4]writeID
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

const (
	recordFormat = 1
	headerSize   = 78
)

var errCorrupt = errors.New("corrupt session record")

// encode is the record for a create. The script fills in the times, by Redis' clock.
func (r record) encode() []byte {
	b := make([]byte, headerSize, headerSize+len(r.user)+len(r.meta)+len(r.sealed))
	b[0], b[1] = recordFormat, byte(r.kind)
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
	b = append(b, r.user...)
	b = append(b, r.meta...)
	return append(b, r.sealed...)
}

// decodeRecord reads a whole record, or its clear part alone.
func decodeRecord(b []byte) (record, error) {
	if len(b) < headerSize {
		return record{}, fmt.Errorf("%w: %d bytes", errCorrupt, len(b))
	}
	if b[0] != recordFormat {
		return record{}, fmt.Errorf("%w: format %d, but this version reads format %d", errCorrupt, b[0], recordFormat)
	}
	r := record{
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
	user := headerSize + int(binary.BigEndian.Uint16(b[74:]))
	meta := user + int(binary.BigEndian.Uint16(b[76:]))
	if meta > len(b) {
		return record{}, fmt.Errorf("%w: its fields are longer than the record", errCorrupt)
	}
	if r.kind != live && r.kind != tombstone && r.kind != rotated {
		return record{}, fmt.Errorf("%w: kind %d", errCorrupt, r.kind)
	}
	r.user, r.meta, r.sealed = string(b[headerSize:user]), b[user:meta], b[meta:]
	return r, nil
}

// open turns a live record into a session, and a tombstone into ErrNotFound.
func (r record) open(ref Ref) (Session, error) {
	if r.kind != live {
		return Session{}, ErrNotFound
	}
	s := Session{
		Handle: ref.Handle, User: r.user, Version: r.version,
		CreatedAt: r.created, TouchedAt: r.touched, IdleTTL: r.idle, ExpiresAt: r.deadline,
		unused: r.unused,
	}
	if len(r.meta) > 0 {
		s.Meta = r.meta
	}
	if len(r.sealed) > 0 {
		data, err := ref.seal.open(r.sealed, r.meta)
		if err != nil {
			return Session{}, fmt.Errorf("%w: the data cannot be decrypted", errCorrupt)
		}
		if len(data) > 0 {
			s.Data = data
		}
	}
	return s, nil
}

func microTime(b []byte) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
}
