package outage

import (
	"testing"
	"time"

	"github.com/sessiond/sessiond/loadtest/cluster"
	"github.com/sessiond/sessiond/loadtest/load"
)

var (
	start  = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	shards = []cluster.Shard{{Name: "0", Ranges: [][2]int{{0, 8191}}}, {Name: "8192", Ranges: [][2]int{{8192, 16383}}}}
)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// answers feeds a good answer every 10 ms from one time to another.
func answers(m *Meter, op load.Op, slot uint16, from, to int) {
	for ms := from; ms <= to; ms += 10 {
		m.Observe(load.Result{Op: op, Slot: slot, Intended: at(ms), Sent: at(ms), Done: at(ms)})
	}
}

// A shard whose writes are silent for a while has a gap of that length in the phase of the fault. Its reads and its neighbour
// have none.
func TestGap(t *testing.T) {
	m := New(shards, load.Constant(100))
	m.Begin("before", start)
	m.Phase("kill vm2", at(1000))
	answers(m, load.Read, 100, 0, 3000)
	answers(m, load.Read, 9000, 0, 3000)
	answers(m, load.Update, 9000, 0, 3000)
	answers(m, load.Update, 100, 0, 990)
	answers(m, load.Update, 100, 1740, 3000)
	m.End(at(3000))
	p := m.Phases()
	gap := p[1].Writes.Longest[0]
	if gap.Lasted != 750*time.Millisecond || !gap.From.Equal(at(990)) || !gap.To.Equal(at(1740)) {
		t.Errorf("got %+v", gap)
	}
	for _, g := range []Gap{p[0].Writes.Longest[0], p[1].Writes.Longest[1], p[1].Reads.Longest[0], p[1].Reads.Longest[1]} {
		if g.Lasted != 10*time.Millisecond {
			t.Errorf("got %+v, want 10 ms", g)
		}
	}
	if got, ok := p[1].Recovered(); !ok || !got.Equal(at(1740)) {
		t.Errorf("recovered at %s, %t", got.Sub(start), ok)
	}
}

// Requests that wait out a stall end it with the first answer, in whatever order the answers come.
func TestLateAnswersEndAGap(t *testing.T) {
	m := New(nil, load.Constant(100))
	m.Begin("before", start)
	for _, intended := range []int{900, 500, 100} {
		m.Observe(load.Result{Op: load.Update, Intended: at(intended), Done: at(1000)})
	}
	m.End(at(1100))
	if gap := m.Phases()[0].Writes.Longest[0]; gap.Lasted != time.Second {
		t.Errorf("got %+v", gap)
	}
}

// A shard that never recovers has a gap up to the end. Later answers change nothing.
func TestGapUpToTheEnd(t *testing.T) {
	m := New(shards, load.Constant(100))
	m.Begin("before", start)
	answers(m, load.Read, 100, 0, 1000)
	m.End(at(5000))
	m.Observe(load.Result{Op: load.Read, Slot: 100, Intended: at(4000), Done: at(9000)})
	p := m.Phases()[0]
	if got := p.Reads.Longest[0].Lasted; got != 4*time.Second {
		t.Errorf("got %s", got)
	}
	if got := p.Reads.Longest[1].Lasted; got != 5*time.Second {
		t.Errorf("a shard without any answer: got %s", got)
	}
	if p.Reads.Requests != 102 {
		t.Errorf("%d requests, want 102", p.Reads.Requests)
	}
}

// Failures belong to the phase in which their requests were due, and delay recovery.
func TestFailures(t *testing.T) {
	m := New(nil, load.Constant(100))
	m.Begin("before", start)
	m.Phase("kill", at(1000))
	answers(m, load.Read, 0, 0, 6000)
	answers(m, load.Update, 0, 0, 6000)
	for _, ms := range []int{990, 1500, 1200} {
		m.Observe(load.Result{Op: load.Update, Intended: at(ms), Done: at(ms + 3000), Failed: true})
	}
	m.End(at(6000))
	p := m.Phases()
	if p[0].Writes.Failed != 1 || p[1].Writes.Failed != 2 || p[1].Reads.Failed != 0 {
		t.Errorf("got %+v", p)
	}
	if got, ok := p[1].Recovered(); !ok || !got.Equal(at(4500)) {
		t.Errorf("recovered at %s, %t", got.Sub(start), ok)
	}
}

func TestNothingInterrupted(t *testing.T) {
	m := New(nil, load.Constant(100))
	m.Begin("before", start)
	m.Phase("kill", at(1000))
	answers(m, load.Read, 0, 0, 2000)
	answers(m, load.Update, 0, 0, 2000)
	m.End(at(2000))
	if got, ok := m.Phases()[1].Recovered(); ok {
		t.Errorf("recovered at %s from nothing", got.Sub(start))
	}
}

// A separate, later interruption is not the fault's. One that comes and goes is.
func TestRecoveryIsOfTheFault(t *testing.T) {
	for name, test := range map[string]struct {
		failures []int // ms at which an update fails, 100 ms long
		want     int   // ms; 0 is none
	}{
		"once":                        {[]int{1500}, 1600},
		"again within the quiet":      {[]int{1500, 4500, 7000}, 7100},
		"in another order":            {[]int{7000, 1500, 4500}, 7100},
		"again after it":              {[]int{1500, 9000}, 1600},
		"two apart, and one between":  {[]int{1500, 7000, 12000, 4400}, 7100},
		"long after the fault":        {[]int{18000}, 0},
		"before the fault, and never": {[]int{500}, 0},
	} {
		m := New(nil, load.Constant(100))
		m.Begin("before", start)
		m.Phase("kill", at(1000))
		for _, ms := range test.failures {
			m.Observe(load.Result{Op: load.Update, Intended: at(ms), Done: at(ms + 100), Failed: true})
		}
		got, ok := m.Phases()[1].Recovered()
		if ok != (test.want > 0) || ok && !got.Equal(at(test.want)) {
			t.Errorf("%s: recovered at %s, %t; want %d ms", name, got.Sub(start), ok, test.want)
		}
	}
}

// Whether a gap is unusual depends on the usual gap.
func TestUnusualGap(t *testing.T) {
	for usual, want := range map[int]bool{100: true, 300: false} {
		m := New(nil, load.Constant(100))
		m.Begin("before", start)
		answers(m, load.Read, 0, 0, 500)
		answers(m, load.Read, 0, 500+usual, 990)
		m.Phase("kill", at(1000))
		answers(m, load.Read, 0, 1000, 1500)
		answers(m, load.Read, 0, 1850, 2000)
		if got, ok := m.Phases()[1].Recovered(); ok != want || ok && !got.Equal(at(1850)) {
			t.Errorf("after gaps of %d ms: recovered at %s, %t", usual, got.Sub(start), ok)
		}
	}
}

// With few requests, long gaps are chance.
func TestGapOfASlowLoad(t *testing.T) {
	for every, want := range map[int]bool{10: true, 50: false} {
		m := New(nil, load.Constant(100))
		m.Begin("before", start)
		for ms := 0; ms <= 1000; ms += every {
			m.Observe(load.Result{Op: load.Read, Intended: at(ms), Done: at(ms)})
		}
		m.Phase("kill", at(1000))
		m.Observe(load.Result{Op: load.Read, Intended: at(1600), Done: at(1600)})
		if _, ok := m.Phases()[1].Recovered(); ok != want {
			t.Errorf("a gap of 600 ms among answers every %d ms: an interruption is %t, want %t", every, ok, want)
		}
	}
}

// A pause in the schedule is not an outage.
func TestPauseOfTheSchedule(t *testing.T) {
	m := New(nil, load.Steps(load.Step{Rate: 100, For: time.Second}, load.Step{For: 2 * time.Second}, load.Step{Rate: 100, For: time.Second}))
	m.Begin("before", start)
	answers(m, load.Read, 0, 0, 1000)
	answers(m, load.Read, 0, 3400, 4000)
	m.End(at(4000))
	if got := m.Phases()[0].Reads.Longest[0].Lasted; got != 400*time.Millisecond {
		t.Errorf("got %s, want the 400 ms in which requests were due", got)
	}
}
