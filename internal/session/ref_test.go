package session

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func testTenant(t testing.TB, name string) *Tenant {
	t.Helper()
	tenant, err := NewTenant(name, Policy{DefaultIdle: time.Hour, DefaultMax: 2 * time.Hour, TTLLimit: 24 * time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

// The vectors of docs/ids.md. They can never change: every stored session would be lost.
func TestPublishedVectors(t *testing.T) {
	tenant := testTenant(t, "default")
	for _, v := range []struct{ id, handle, key string }{
		{"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY", "AgMX-KyHr1Uq4VJTZ4z63wlqw", "{AgM}:s:default:X-KyHr1Uq4VJTZ4z63wlqw"},
		{"my-framework.session_0123456789~", "R8Y8Hz1q4Ibzxy5ba13bbwqoQ", "{R8Y}:s:default:8Hz1q4Ibzxy5ba13bbwqoQ"},
	} {
		ref, err := tenant.ParseRef(v.id)
		if err != nil {
			t.Fatal(err)
		}
		if ref.Handle.String() != v.handle || ref.key() != v.key {
			t.Errorf("got handle %s, key %s, want %s, %s", ref.Handle.String(), ref.key(), v.handle, v.key)
		}
	}
	if got := tenant.userTag("alice").String(); got != "tKA" {
		t.Errorf("got tag %s for alice, want tKA", got)
	}
}

func TestIssuedIDs(t *testing.T) {
	tenant := testTenant(t, "acme")
	seen := map[string]bool{}
	for range 1000 {
		ref := tenant.NewRef("alice")
		if len(ref.ID()) != 32 || seen[ref.ID()] || !ref.Serves("alice") || ref.Serves("bob") {
			t.Fatalf("bad ID %s of %s", ref.ID(), ref)
		}
		seen[ref.ID()] = true
		parsed, err := tenant.ParseRef(ref.ID())
		if err != nil || parsed != ref {
			t.Fatalf("%s parses to %s, %v", ref, parsed, err)
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	tenant := testTenant(t, "acme")
	for _, id := range []string{
		"", strings.Repeat("a", 21), strings.Repeat("a", 129), strings.Repeat("a", 21) + "/", strings.Repeat("a", 21) + "é",
		strings.Repeat("a", 30) + "{}", strings.Repeat("a", 30) + " ", strings.Repeat("a", 30) + "\x00", strings.Repeat("a", 30) + "%41",
	} {
		if _, err := tenant.ParseRef(id); !errors.Is(err, ErrMalformedID) {
			t.Errorf("%q: got %v", id, err)
		}
	}
}

func TestTenantsShareNothing(t *testing.T) {
	a, b := testTenant(t, "a"), testTenant(t, "b")
	id := a.NewRef("").ID()
	ra, _ := a.ParseRef(id)
	rb, _ := b.ParseRef(id)
	if ra.key() == rb.key() || ra.seal == rb.seal || ra.name == rb.name {
		t.Errorf("tenants share %s and %s", ra.key(), rb.key())
	}
}

// Nothing that formats a Ref may show the ID.
func TestRefNeverPrintsItsID(t *testing.T) {
	ref := testTenant(t, "acme").NewRef("")
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", ref)
		fmt.Fprintf(&b, verb+"\n", &ref)
		fmt.Fprintf(&b, verb+"\n", Session{Handle: ref.Handle})
	}
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "ref", ref, "session", Session{Handle: ref.Handle})
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "ref", ref, "session", Session{Handle: ref.Handle})
	if hex := fmt.Sprintf("%x", ref.ID()); strings.Contains(b.String(), ref.ID()) || strings.Contains(b.String(), hex) {
		t.Errorf("the ID %s is in:\n%s", ref.ID(), b.String())
	}
	if !strings.Contains(b.String(), ref.Handle.String()) {
		t.Errorf("the handle %s is not in:\n%s", ref.Handle.String(), b.String())
	}
}

// Tags must fill the slots evenly, or a shard fills before the others. The slot is the CRC16 of the part in braces.
func TestTagsSpreadOverSlots(t *testing.T) {
	const slots = 16384
	perSlot := map[uint16]int{}
	for i := range 65536 {
		perSlot[crc16([]byte(tag{byte(i >> 8), byte(i)}.String()))%slots]++
	}
	if len(perSlot) < slots-2 {
		t.Errorf("the tags reach only %d slots", len(perSlot))
	}
}

// crc16 is CRC-16/XMODEM, as the Redis Cluster specification defines it.
func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c) << 8
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

func FuzzParseRef(f *testing.F) {
	tenant := testTenant(f, "acme")
	f.Add(tenant.NewRef("alice").ID())
	f.Add("0123456789abcdef-._~XYZ")
	f.Add("AQ" + strings.Repeat("=", 30))
	f.Fuzz(func(t *testing.T, id string) {
		ref, err := tenant.ParseRef(id)
		if err != nil {
			return
		}
		if ref.ID() != id {
			t.Fatalf("%q became %q", id, ref.ID())
		}
		if len(ref.Handle.String()) != 25 || strings.Contains(ref.key(), id) {
			t.Fatalf("handle %s, key %s", ref.Handle.String(), ref.key())
		}
		if raw, err := base64.RawURLEncoding.DecodeString(id); err == nil && len(raw) == 24 && raw[0] == 1 {
			if want := base64.RawURLEncoding.EncodeToString(raw[1:3]); ref.Handle.String()[:3] != want {
				t.Fatalf("tag %s, want %s", ref.Handle.String()[:3], want)
			}
		}
	})
}
