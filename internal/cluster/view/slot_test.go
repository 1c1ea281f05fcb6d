package view

import "testing"

func TestCRC16(t *testing.T) {
	// The check value that the Redis Cluster specification publishes.
	if got := crc16("123456789"); got != 0x31C3 {
		t.Errorf("got %#x", got)
	}
}

func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"":                0,
		"123456789":       0x31C3 % Slots,
		"foo":             12182, // CLUSTER KEYSLOT of Redis
		"bar":             5061,
		"hello":           866,
		"somekey":         11058,
		"foo{hash_tag}":   2515,
		"{06S}:1":         0,
		"foo{bar}{zap}":   Slot("bar"),
		"foo{{bar}}zap":   Slot("{bar"),
		"{a}b":            Slot("a"),
		"a{b}c{d}":        Slot("b"),
		"{a":              int(crc16("{a")) % Slots,
		"a}b":             int(crc16("a}b")) % Slots,
		"}a{b}":           Slot("b"),
		"{}x":             int(crc16("{}x")) % Slots, // an empty tag is none
		"foo{}{bar}":      int(crc16("foo{}{bar}")) % Slots,
		"{user1000}.more": Slot("{user1000}.other"),
	} {
		if got := Slot(key); got != want {
			t.Errorf("%q is in slot %d, want %d", key, got, want)
		}
	}
}
