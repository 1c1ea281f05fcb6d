package ledger

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"
)

// A bench is a ledger with one session and a clock that the test moves.
type bench struct {
	*Ledger
	t   *testing.T
	now time.Time
}

const first, second = "first-key", "second-key"

func newBench(t *testing.T, cfg Config, life Lifetime) *bench {
	b := &bench{t: t, now: time.Unix(1e9, 0)}
	cfg.Now = func() time.Time { return b.now }
	b.Ledger = New(cfg)
	b.want(OK, b.Create(life).Ack(first, 1))
	return b
}

var long = Lifetime{Idle: time.Hour, Max: 24 * time.Hour}

func (b *bench) after(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) want(want, got Verdict) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("got %s, want %s: %v", got, want, b.Summary().Examples)
	}
}

// data is what write seq of the session put down.
func (b *bench) data(seq uint64) []byte {
	return appendDocument(nil, saltText(b.find(first).s.salt), seq, "padding", true)
}

func (b *bench) acked(key string, version uint64) *Write {
	b.t.Helper()
	w := b.Write(key, 0)
	b.want(OK, w.Ack("", version))
	return w
}

func TestContentIsToldApart(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.want(OK, b.Read(first).Found(1, b.data(1)))
	b.want(OK, b.Create(long).Ack(second, 1))
	other := appendDocument(nil, saltText(b.find(second).s.salt), 1, "padding", true)
	for name, data := range map[string][]byte{
		"of another session": other,
		"damaged":            bytes.Replace(b.data(1), []byte("pad"), []byte("PAD"), 1),
		"never sent":         b.data(9),
		"no object":          []byte(`[]`),
		"nothing":            nil,
		"without the salt":   appendDocument(nil, saltText(b.find(first).s.salt), 1, "padding", false),
	} {
		if v := b.Read(first).Found(1, data); v != Corrupt {
			t.Errorf("content %s is %s, want corrupt", name, v)
		}
	}
	b.want(Corrupt, b.Read("a key nobody issued").Found(1, b.data(1)))
	b.want(OK, b.Read("a key nobody issued").Missing())
	b.want(Corrupt, b.Create(long).Ack(second, 1))
}

// A lost write shows even if nobody reads between it and the next.
func TestVersionRevealsLoss(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.acked(first, 2)
	b.want(Lost, b.Write(first, 0).Ack("", 2))
	b.acked(first, 3) // and the judgement goes on from there
	b.want(OK, b.Read(first).Found(3, b.data(4)))
	b.want(Lost, b.Write(first, 3).Conflict())
	unknown := b.Write(first, 0)
	unknown.Unknown()
	b.want(OK, b.Write(first, 3).Conflict()) // the unknown write may have made another
}

// A stale read at the end is a lost write.
func TestReadBack(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.acked(first, 2)
	b.want(Stale, b.Read(first).Found(1, b.data(1)))
	b.want(Lost, b.ReadBack(first).Found(1, b.data(1)))
	b.want(Lost, b.ReadBack(first).Missing())
	if s := b.Summary(); s.Sessions[Lost] != 1 || s.Violations[Lost] != 2 || s.Total() != 3 {
		t.Errorf("one session was lost, which two reads showed: %s", s)
	}
}

func TestDeadlines(t *testing.T) {
	short := Lifetime{Idle: 10 * time.Second, Max: 30 * time.Second}
	b := newBench(t, Config{}, short)
	b.after(8 * time.Second)
	b.want(EarlyExpired, b.Read(first).Missing())
	b.after(1500 * time.Millisecond)
	b.want(OK, b.Read(first).Missing()) // within the slack
	b.acked(first, 2)                   // slides
	b.after(8 * time.Second)
	b.want(EarlyExpired, b.Read(first).Missing())
	if got := b.Sweep(); len(got) != 1 {
		t.Errorf("must be there: %v", got)
	}
	b.acked(first, 3)
	b.after(8 * time.Second)
	b.acked(first, 4)
	b.after(4 * time.Second) // the absolute deadline is half a second away
	b.want(OK, b.Read(first).Missing())
	if got := b.Sweep(); len(got) != 0 {
		t.Errorf("may be over, but must be there: %v", got)
	}
	b.want(OK, b.Read(first).Found(4, b.data(4)))
	b.after(3 * time.Second)
	b.want(Resurrected, b.Read(first).Found(4, b.data(4)))
}

func TestDeletion(t *testing.T) {
	b := newBench(t, Config{}, long)
	before := b.Read(first)
	deletion := b.Delete(first)
	b.want(OK, b.Read(first).Missing())
	b.want(OK, b.Read(first).Found(1, b.data(1)))
	during := b.Read(first)
	b.want(OK, deletion.Ack("", 0))
	b.want(OK, before.Found(1, b.data(1)))
	b.want(OK, during.Found(1, b.data(1)))
	b.want(OK, b.Read(first).Missing())
	b.want(Resurrected, b.Read(first).Found(1, b.data(1)))
	b.want(OK, b.Write(first, 0).Missing())
	b.want(Resurrected, b.Write(first, 0).Ack("", 2))
	if live, dead := b.Sweep(), b.Deleted(); len(live) != 0 || len(dead) != 1 {
		t.Errorf("live %v, deleted %v", live, dead)
	}
}

func TestRotation(t *testing.T) {
	b := newBench(t, Config{}, long)
	rotate := b.Rotate(first, 30*time.Second)
	b.want(OK, b.Read(first).Found(1, b.data(1)))
	b.want(OK, rotate.Ack(second, 2))
	b.want(OK, b.Read(second).Found(2, b.data(1)))
	b.want(OK, b.Read(first).Found(2, b.data(1)))
	b.acked(second, 3)
	b.want(Stale, b.Read(first).Found(2, b.data(1)))
	b.want(Lost, b.Read(first).Missing()) // the old key still works
	b.want(Lost, b.Read(second).Missing())
	if got := b.Sweep(); len(got) != 1 || got[0] != second {
		t.Errorf("%v must be there, want only the new key", got)
	}
	b.after(31 * time.Second)
	b.want(OK, b.Read(second).Found(3, b.data(3)))
	b.after(time.Second)
	b.want(Lost, b.Read(second).Missing())
	b.want(Resurrected, b.Read(first).Found(3, b.data(3)))
	b.want(OK, b.Read(first).Missing())
	b.want(OK, b.Read(second).Missing()) // that use of the old key revoked it
}

func TestRotationWithoutGrace(t *testing.T) {
	b := newBench(t, Config{Slack: -1}, long)
	rotate := b.Rotate(first, 0)
	b.want(OK, b.Read(first).Missing())
	b.after(time.Second)
	b.want(OK, rotate.Ack(second, 2))
	b.after(time.Second)
	b.want(Resurrected, b.Read(first).Found(2, b.data(1)))
	b.want(OK, b.Read(first).Missing())
	b.want(Lost, b.Read(second).Missing()) // which is no reuse
}

func TestRotationOfUnknownOutcome(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.Rotate(first, 30*time.Second).Unknown()
	b.want(OK, b.Read(first).Found(1, b.data(1)))
	b.want(OK, b.Read(first).Found(2, b.data(1)))
	b.want(Duplicated, b.Read(first).Found(3, b.data(1)))
	b.want(OK, b.Rotate(first, 30*time.Second).Ack(second, 2)) // the same successor
	b.want(OK, b.Read(second).Found(2, b.data(1)))

	refused := b.Rotate(second, 30*time.Second)
	refused.Refuse()
	b.after(time.Minute)
	b.want(Lost, b.Read(second).Missing()) // the old key no longer works
}

// An open write that is older than the rotation may be what the rotation carried over.
func TestRotationCarriesOpenWrite(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.Write(first, 0).Unknown()
	b.want(OK, b.Rotate(first, time.Minute).Ack(second, 3))
	b.want(OK, b.Read(second).Found(3, b.data(2)))
	b.acked(second, 4)
	b.want(Stale, b.Read(second).Found(3, b.data(2)))
}

// Memory is bounded: beyond the limit, the oldest open writes count as possible.
func TestManyOpenWrites(t *testing.T) {
	b := newBench(t, Config{OpenLimit: 4}, long)
	for range 100 {
		b.Write(first, 0).Unknown()
	}
	if n := len(b.find(first).s.open.list); n != 4 {
		t.Errorf("%d open writes are remembered, want 4", n)
	}
	b.acked(first, 60) // 58 of the hundred took effect
	b.want(OK, b.Read(first).Found(61, b.data(50)))
	b.want(Stale, b.Read(first).Found(59, b.data(50)))
	b.acked(first, 103) // and now all have
	b.want(Stale, b.Read(first).Found(102, b.data(50)))
	b.want(Duplicated, b.Read(first).Found(104, b.data(50)))
	if s := b.Summary(); s.Unknown != 100 {
		t.Errorf("%d unknown writes, want 100", s.Unknown)
	}
}

func TestForget(t *testing.T) {
	b := newBench(t, Config{}, long)
	w := b.Write(first, 0)
	b.Forget(first)
	if b.Len() != 0 || b.Write(first, 0) != nil || b.Delete(first) != nil || b.Rotate(first, 0) != nil {
		t.Error("a forgotten session is known")
	}
	b.want(OK, w.Ack("", 2))
}

func TestOneWriterAtATime(t *testing.T) {
	b := newBench(t, Config{}, long)
	b.Write(first, 0)
	defer func() {
		if recover() == nil {
			t.Error("two writes at a time were accepted")
		}
	}()
	b.Write(first, 0)
}

func TestExamplesAreBounded(t *testing.T) {
	b := newBench(t, Config{Examples: 3}, long)
	for range 10 {
		b.Read(first).Missing()
	}
	s := b.Summary()
	if len(s.Examples) != 3 || s.Violations[Lost] != 10 || s.Reads != 10 {
		t.Errorf("%d examples, want 3: %s", len(s.Examples), s)
	}
	if text := s.Examples[0].String(); bytes.Contains([]byte(text), []byte(first)) {
		t.Errorf("an example tells the key: %s", text)
	}
}

// For the race detector: concurrent writers, readers and sweeps on a correct server.
func TestConcurrentUse(t *testing.T) {
	l := New(Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprint("key of session ", i)
			w := l.Create(long)
			data, version := w.Data("x"), uint64(1)
			w.Ack(key, version)
			for range 200 {
				r := l.Read(key)
				w := l.Write(key, version)
				old := data
				data = w.Data("x")
				version++
				w.Ack("", version)
				r.Found(version-1, old)
				l.Read(key).Found(version, data)
			}
			l.Delete(key).Ack("", 0)
		})
		wg.Go(func() {
			for range 50 {
				l.Sweep()
				l.Deleted()
				l.Summary()
			}
		})
	}
	wg.Wait()
	if s := l.Summary(); s.Total() > 0 || s.Reads != 3200 || len(l.Deleted()) != 8 {
		t.Errorf("%s; %v", s, s.Examples)
	}
}
