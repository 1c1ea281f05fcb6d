package watch

import "testing"

func TestEventsSince(t *testing.T) {
	var e Events
	none, fresh := e.Since(0)
	if len(none) != 0 {
		t.Fatalf("got %v", none)
	}
	e.add(Event{Type: Promoted, Text: "one"})
	select {
	case <-fresh:
	default:
		t.Error("an event did not wake who waits")
	}
	e.add(Event{Type: NodeUp, Text: "two"})
	e.add(Event{Type: NodeUp, Text: "three"})
	for _, c := range []struct {
		since uint64
		want  int
	}{{0, 3}, {1, 2}, {3, 0}, {4, 3}, {1 << 40, 3}} { // IDs that were never given: another process'
		got, fresh := e.Since(c.since)
		if len(got) != c.want || c.want > 0 && got[len(got)-1].Text != "three" {
			t.Errorf("since %d: got %d events", c.since, len(got))
		}
		select {
		case <-fresh:
			t.Errorf("since %d: woken without an event", c.since)
		default:
		}
	}
	all, _ := e.Since(0)
	for i, ev := range all {
		if ev.ID != uint64(i+1) || ev.Time.IsZero() {
			t.Errorf("got %+v", ev)
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	var e Events
	for range eventsKept + 7 {
		e.add(Event{Type: NodeUp})
	}
	kept, _ := e.Since(0)
	if len(kept) != eventsKept || kept[0].ID != 8 || kept[len(kept)-1].ID != eventsKept+7 {
		t.Errorf("%d kept, from %d to %d", len(kept), kept[0].ID, kept[len(kept)-1].ID)
	}
	if got, _ := e.Since(3); len(got) != eventsKept { // forgotten since
		t.Errorf("got %d", len(got))
	}
}
