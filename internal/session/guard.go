package session

import "encoding/binary"

// only is the guard that admits just this version.
func only(s Session) Guard { return Guard{Set: true, AnyOf: []Stamp{s.Stamp()}} }

// Admits reports whether a session at this stamp meets the guard, as the scripts judge it.
func (g Guard) Admits(s Stamp) bool {
	if !g.Set {
		return true
	}
	for _, want := range g.AnyOf {
		if want.Version == s.Version && want.Created.Equal(s.Created) {
			return true
		}
	}
	return false
}

// encode is the guard as the scripts read it: '*' if there must only be a session, otherwise '=' and the stamps. Each stamp is the 16 bytes of version and creation in a header.
func (g Guard) encode() []byte {
	if !g.Set && g.Exists {
		return []byte{'*'}
	}
	if !g.Set {
		return nil
	}
	b := []byte{'='}
	for _, s := range g.AnyOf {
		b = binary.BigEndian.AppendUint64(b, s.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(s.Created.UnixMicro()))
	}
	return b
}
