package load

import (
	"crypto/sha512"
	"encoding/base64"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// Slot returns the Redis Cluster hash slot of a session of the tenant "default" by its ID. See docs/ids.md.
func Slot(id string) uint16 { return SlotIn("default", id) }

// SlotIn is Slot for any tenant. An issued ID has the same slot for all tenants.
func SlotIn(tenant, id string) uint16 {
	tag, _ := derived(tenant, id)
	return tagSlot(tag)
}

// handleOf returns the public name of a session by its ID.
func handleOf(tenant, id string) string {
	tag, name := derived(tenant, id)
	return base64.RawURLEncoding.EncodeToString(tag) + base64.RawURLEncoding.EncodeToString(name)
}

// derived holds what is derived from an ID.
func derived(tenant, id string) (tag, name []byte) {
	sum := sha512.Sum512([]byte("session/1\x00" + tenant + "\x00" + id))
	tag, name = sum[48:50], sum[:16]
	if raw, err := base64.RawURLEncoding.DecodeString(id); err == nil && len(raw) == 24 && raw[0] == 1 {
		tag = raw[1:3]
	}
	return tag, name
}

// KeySlot returns the slot of a Redis key without braces.
func KeySlot(key string) uint16 { return crc16(key) % slots }

// UserSlot returns the slot of a user's sessions and of their list.
func UserSlot(tenant, user string) uint16 {
	sum := sha512.Sum512([]byte("user/1\x00" + tenant + "\x00" + user))
	return tagSlot(sum[:2])
}

// tagSlot returns the slot of keys with the tag in braces.
func tagSlot(tag []byte) uint16 { return crc16(base64.RawURLEncoding.EncodeToString(tag)) % slots }

// crc16 is CRC-16/XMODEM, with which Redis Cluster places keys (Redis Cluster specification, appendix A). Tags have three
// characters, so it needs no table.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
