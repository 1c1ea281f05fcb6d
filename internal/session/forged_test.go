package session_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// What whoever can write to Redis cannot do without a session's ID: have an app trust what its holder did not store.

// Whoever can write to Redis cannot make a session without its ID: a record without a seal is not believed.
func TestRecordWithoutSeal(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	ref := sessiontest.Tenant(t, "acme").NewRef("")
	if _, err := store.Create(t.Context(), nil, ref, session.New{Content: session.Content{Meta: jsontext.Value(`{"admin":true}`)}}, ""); err != nil {
		t.Fatal(err)
	}
	const seal = 12 + 16 // of no data
	key := e.Keys()[0]
	record, err := e.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(key, record[:len(record)-seal]); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(t.Context(), nil, ref); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("a read: %+v, %v", got, err)
	}
	if got := store.GetMany(t.Context(), nil, []session.Ref{ref})[0]; got.Err == nil || errors.Is(got.Err, session.ErrNotFound) {
		t.Errorf("a read of many: %+v", got)
	}
}

// keyOf is the key of a session of the tenant acme.
func keyOf(ref session.Ref) string {
	handle := ref.Handle.String()
	return "{" + handle[:3] + "}:s:acme:" + handle[3:]
}

// inFormat1 makes a record of alice one of format 1, which has no MAC, and of admin.
func inFormat1(record []byte) []byte {
	forged := append([]byte{1}, record[1:macAt]...)
	return append(append(forged, "admin"...), record[userAt+len("alice"):]...)
}

// forged creates a session of the user alice, has forge change its record, and reads it.
func forged(t *testing.T, o session.Options, forge func(record []byte) []byte) (session.Session, error) {
	e, _ := embedded(t, cluster.Config{})
	o.Now = e.Now
	store := newStoreWith(t, e.Client(t, cluster.Config{}), o)
	ref := sessiontest.Tenant(t, "acme").NewRef("alice")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice", Content: session.Content{Data: jsontext.Value(`1`)}}, ""); err != nil {
		t.Fatal(err)
	}
	key := keyOf(ref)
	record, err := e.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(key, string(forge([]byte(record)))); err != nil {
		t.Fatal(err)
	}
	return store.Get(t.Context(), nil, ref)
}

const (
	macAt  = 78 // in a record, see record.go
	userAt = 94
)

func TestRecordOfAnotherUser(t *testing.T) {
	forgeries := map[string]func(record []byte) []byte{
		"another user": func(record []byte) []byte {
			copy(record[userAt:], "admin")
			return record
		},
		"no user": func(record []byte) []byte {
			binary.BigEndian.PutUint16(record[74:], 0)
			return append(record[:userAt], record[userAt+len("alice"):]...)
		},
		"another MAC": func(record []byte) []byte {
			record[macAt] ^= 1
			return record
		},
		"format 1": inFormat1,
	}
	for name, forge := range forgeries {
		t.Run(name, func(t *testing.T) {
			if got, err := forged(t, session.Options{}, forge); err == nil || errors.Is(err, session.ErrNotFound) {
				t.Errorf("a read: %+v, %v", got, err)
			}
		})
	}
	if got, err := forged(t, session.Options{}, func(record []byte) []byte { return record }); err != nil || got.User != "alice" {
		t.Errorf("what was not forged: %+v, %v", got, err)
	}
}

// A write does not make good what a read refuses.
func TestWriteToAForgedRecord(t *testing.T) {
	e, _ := embedded(t, cluster.Config{})
	store := newStoreWith(t, e.Client(t, cluster.Config{}), session.Options{Now: e.Now})
	ref := sessiontest.Tenant(t, "acme").NewRef("alice")
	content := session.Content{Data: jsontext.Value(`1`)}
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice", Content: content}, ""); err != nil {
		t.Fatal(err)
	}
	key := keyOf(ref)
	record, err := e.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(key, string(inFormat1([]byte(record)))); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Replace(t.Context(), nil, ref, content, session.TTL{}, session.Write{}); err == nil {
		t.Errorf("a replace stored %+v", got)
	}
	if got, err := store.Touch(t.Context(), nil, ref, session.TTL{}, session.Guard{}); err == nil {
		t.Errorf("a touch tells %+v", got)
	}
	if got, err := store.Get(t.Context(), nil, ref); err == nil {
		t.Errorf("after it, a read finds %+v", got)
	}
}

// A touch tells no meta that the session's holder did not store.
func TestTouchOfForgedMeta(t *testing.T) {
	e, _ := embedded(t, cluster.Config{})
	store := newStoreWith(t, e.Client(t, cluster.Config{}), session.Options{Now: e.Now})
	ref := sessiontest.Tenant(t, "acme").NewRef("")
	content := session.Content{Meta: jsontext.Value(`{"role":"user"}`), Data: jsontext.Value(`1`)}
	if _, err := store.Create(t.Context(), nil, ref, session.New{Content: content}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Touch(t.Context(), nil, ref, session.TTL{}, session.Guard{}); err != nil || string(got.Meta) != `{"role":"user"}` || got.Data != nil {
		t.Errorf("what was not forged: %+v, %v", got, err)
	}
	record, err := e.Get(keyOf(ref))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(keyOf(ref), strings.Replace(record, "user", "root", 1)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Touch(t.Context(), nil, ref, session.TTL{}, session.Guard{}); err == nil {
		t.Errorf("a touch tells %s", got.Meta)
	}
}

// The pointer of an ID from before a rotation, sealed under that ID, is no session's content.
func TestPointerAsASession(t *testing.T) {
	e, _ := embedded(t, cluster.Config{})
	store := newStoreWith(t, e.Client(t, cluster.Config{}), session.Options{Now: e.Now})
	ref := sessiontest.Tenant(t, "acme").NewRef("alice")
	if _, err := store.Create(t.Context(), nil, ref, session.New{User: "alice"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Rotate(t.Context(), nil, ref, session.Rotation{Grace: time.Minute}, session.Write{}); err != nil {
		t.Fatal(err)
	}
	key := keyOf(ref)
	record, err := e.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	forged := inFormat1([]byte(record))
	forged[1] = 1 // live
	if err := e.Set(key, string(forged)); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(t.Context(), nil, ref); err == nil {
		t.Errorf("a read finds %+v", got)
	}
}

// A deadline is not bound to the ID, because scripts set it. It is worth no more than the tenant's limit.
func TestRecordWithAnotherDeadline(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	later := func(record []byte) []byte {
		for _, at := range []int{26, 34} { // idle TTL and deadline
			binary.BigEndian.PutUint64(record[at:], binary.BigEndian.Uint64(record[at:])+uint64(century.Microseconds()))
		}
		return record
	}
	limit := sessiontest.Policy.TTLLimit
	got, err := forged(t, session.Options{}, later)
	if err != nil || got.ExpiresAt.After(got.CreatedAt.Add(limit)) || got.IdleTTL > limit {
		t.Errorf("it lives until %s, for %s without use: %v", got.ExpiresAt, got.IdleTTL, err)
	}
	ended := func(record []byte) []byte {
		created := binary.BigEndian.Uint64(record[10:])
		binary.BigEndian.PutUint64(record[10:], created-uint64(limit.Microseconds()))
		return later(record)
	}
	if got, err := forged(t, session.Options{}, ended); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("after the limit: %+v, %v", got, err)
	}
	madeLater := func(record []byte) []byte {
		binary.BigEndian.PutUint64(record[10:], binary.BigEndian.Uint64(record[10:])+uint64(century.Microseconds()))
		return later(record)
	}
	if got, err := forged(t, session.Options{}, madeLater); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("made in a hundred years: %+v, %v", got, err)
	}
}

// An instance that has not written for long, and so does not know Redis' clock, asks for it.
func TestRecordWithAnotherDeadlineAtAnIdleInstance(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	limit := sessiontest.Policy.TTLLimit
	for name, shift := range map[string]time.Duration{"after the limit": -limit, "made in a hundred years": century} {
		e, busy := embedded(t, cluster.Config{})
		ref := sessiontest.Tenant(t, "acme").NewRef("")
		if _, err := busy.Create(t.Context(), nil, ref, session.New{}, ""); err != nil {
			t.Fatal(err)
		}
		text, err := e.Get(keyOf(ref))
		if err != nil {
			t.Fatal(err)
		}
		record := []byte(text)
		binary.BigEndian.PutUint64(record[10:], binary.BigEndian.Uint64(record[10:])+uint64(shift.Microseconds()))
		binary.BigEndian.PutUint64(record[34:], binary.BigEndian.Uint64(record[34:])+uint64(century.Microseconds()))
		if err := e.Set(keyOf(ref), string(record)); err != nil {
			t.Fatal(err)
		}
		idle := newStoreWith(t, e.Client(t, cluster.Config{}), session.Options{Now: e.Now})
		if got, err := idle.Peek(t.Context(), nil, ref); err == nil {
			t.Errorf("%s: a read finds %+v", name, got)
		}
		if got := idle.GetMany(t.Context(), nil, []session.Ref{ref})[0]; got.Err == nil {
			t.Errorf("%s: a batch finds %+v", name, got.Session)
		}
	}
}
