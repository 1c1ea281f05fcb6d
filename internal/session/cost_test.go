package session

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// What a read costs here besides asking Redis: the ID becomes a key, and the record a session.

// newCost returns an ID and the record of its session.
func newCost(t testing.TB) (tenant *Tenant, id string, value []byte) {
	t.Helper()
	tenant, err := NewTenant("acme", Policy{DefaultIdle: time.Hour, DefaultMax: time.Hour, TTLLimit: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref := tenant.NewRef("alice")
	data := jsontext.Value(`{"cart":"` + strings.Repeat("x", 500) + `"}`)
	now := time.Now()
	rec := record{
		format: newestFormat, kind: live, version: 1, created: now, touched: now, idle: time.Hour, deadline: now.Add(time.Hour),
		user: "alice", mac: ref.userMAC("alice"), sealed: ref.seal.seal(newestFormat, data, nil),
	}
	return tenant, ref.ID(), rec.encode()
}

// readOne does what a read does.
func readOne(t testing.TB, tenant *Tenant, id string, value []byte) {
	ref, err := tenant.ParseRef(id)
	if err != nil || ref.key() == "" {
		t.Fatal(err)
	}
	rec, err := decodeRecord(value)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rec.open(ref); err != nil || got.User != "alice" {
		t.Fatal(err)
	}
}

// readAllocations is how many allocations that may take. It may only fall.
const readAllocations = 6

func TestAllocationsOfARead(t *testing.T) {
	tenant, id, value := newCost(t)
	if n := testing.AllocsPerRun(1000, func() { readOne(t, tenant, id, value) }); n > readAllocations {
		t.Errorf("a read makes %v allocations, and may make %d", n, readAllocations)
	}
}

func BenchmarkOpen(b *testing.B) {
	tenant, id, value := newCost(b)
	b.ReportAllocs()
	for b.Loop() {
		readOne(b, tenant, id, value)
	}
}
