package view

import "strings"

// Slots is the number of hash slots of every Redis Cluster.
const Slots = 16384

// Slot is the hash slot of a key: the CRC16 of the hash tag, or of the whole key if it has none, modulo 16384. The hash
// tag is the text between the first { and the next }, unless it is empty (Redis Cluster specification, "Key distribution
// model").
func Slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if length := strings.IndexByte(key[open+1:], '}'); length > 0 {
			key = key[open+1 : open+1+length]
		}
	}
	return int(crc16(key)) % Slots
}

// crc16 is CRC-16/XMODEM.
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
