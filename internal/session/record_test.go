package session

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRecordRoundTrip(t *testing.T) {
	micros := rapid.Int64Range(0, 1<<53-1)
	when := rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMicro(micros.Draw(t, "µs")).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		r := record{
			format:   format(rapid.IntRange(1, 2).Draw(t, "format")),
			kind:     rapid.SampledFrom([]kind{live, tombstone, rotated}).Draw(t, "kind"),
			version:  rapid.Uint64Max(1<<53-1).Draw(t, "version"),
			created:  when.Draw(t, "created"),
			touched:  when.Draw(t, "touched"),
			idle:     time.Duration(rapid.Int64Range(0, maxTTL.Milliseconds()).Draw(t, "idle")) * time.Millisecond,
			unused:   rapid.Bool().Draw(t, "unused"),
			deadline: when.Draw(t, "deadline"),
			user:     rapid.StringN(0, 80, MaxUserBytes).Draw(t, "user"),
			meta:     rapid.SliceOfN(rapid.Byte(), 0, MaxMetaBytes).Draw(t, "meta"),
			sealed:   rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "sealed"),
		}
		copy(r.writes[2][:], "12345678")
		if r.format > 1 {
			copy(r.mac[:], "1234567890abcdef")
		}
		got, err := decodeRecord(r.encode())
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, r)
		}
	})
}

func TestSealBindsDataAndMeta(t *testing.T) {
	tenant := testTenant(t, "acme")
	ref := tenant.NewRef("")
	sealed := ref.seal.seal(2, []byte("data"), []byte("meta"))
	if bytes.Contains(sealed, []byte("data")) || len(sealed) != len("data")+sealOverhead {
		t.Errorf("sealed to %q", sealed)
	}
	if again := ref.seal.seal(2, []byte("data"), []byte("meta")); bytes.Equal(again, sealed) {
		t.Error("two seals of the same data are equal")
	}
	if got, err := ref.seal.open(2, sealed, []byte("meta")); err != nil || string(got) != "data" {
		t.Errorf("opened to %q, %v", got, err)
	}
	other := tenant.NewRef("")
	if _, err := other.seal.open(2, sealed, []byte("meta")); err == nil {
		t.Error("another session's key opened it")
	}
	if _, err := ref.seal.open(2, sealed, []byte("mata")); err == nil {
		t.Error("it opened under changed meta")
	}
	if _, err := ref.seal.open(1, sealed, []byte("meta")); err == nil {
		t.Error("it opened as that of another format")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := ref.seal.open(2, sealed, []byte("meta")); err == nil {
		t.Error("it opened although it was changed")
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := record{format: 2, kind: live, version: 1, user: "alice", meta: []byte(`{}`), sealed: make([]byte, 28)}
	f.Add(r.encode())
	r.format = 1
	f.Add(r.encode())
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeRecord(b)
		if err != nil {
			if !errors.Is(err, errCorrupt) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if again := got.encode(); len(again) != len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		got.open(testTenant(t, "acme").NewRef("")) // must not panic
	})
}
