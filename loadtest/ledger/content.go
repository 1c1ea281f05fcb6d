package ledger

import (
	"encoding/hex"
	"hash/crc32"
	"strconv"

	"github.com/go-json-experiment/json"
)

// A document is the JSON object that every write puts into `data`. It lets a read be traced to the write it shows. It does
// not hold the session's key, which is a credential, and unknown before the session exists. A patch leaves out the salt,
// which never changes: if a merge loses a member, the checksum tells.
type document struct {
	Salt    string `json:"k"` // of the session: content shown under another session is corrupt
	Seq     uint64 `json:"n"` // of the write
	Sum     string `json:"c"` // CRC-32C of the other members
	Padding string `json:"p"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers everything but itself.
func checksum(salt string, seq uint64, padding string) string {
	b := strconv.AppendUint(make([]byte, 0, 64), seq, 10)
	b = append(append(b, ' '), salt...)
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, []byte(padding))
	return hex.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// appendDocument writes the members in order. The salt is optional.
func appendDocument(b []byte, salt string, seq uint64, padding string, withSalt bool) []byte {
	b = append(b, '{')
	if withSalt {
		b = append(append(append(b, `"k":"`...), salt...), `",`...)
	}
	b = strconv.AppendUint(append(b, `"n":`...), seq, 10)
	b = append(append(append(b, `,"c":"`...), checksum(salt, seq, padding)...), `","p":"`...)
	return append(append(b, padding...), `"}`...)
}

// parse returns the sequence number of the write that data shows. It reports false if data is no content of the session.
func parse(data []byte, salt string) (seq uint64, ok bool) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return 0, false
	}
	return d.Seq, d.Salt == salt && d.Sum == checksum(salt, d.Seq, d.Padding)
}

func saltText(salt uint64) string {
	var b [8]byte
	for i := range b {
		b[i] = byte(salt >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}
