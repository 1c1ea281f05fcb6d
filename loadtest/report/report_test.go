package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/loadtest/cluster"
	"github.com/sessiond/sessiond/loadtest/fault"
	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/outage"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

const second = time.Second

// example is a drill: a kill at 10 s, a promotion at 10.6 s that two instances saw, and a start at 20 s.
func example() Run {
	gap := func(from, to int) outage.Gap {
		return outage.Gap{From: at(from), To: at(to), Lasted: time.Duration(to-from) * time.Millisecond}
	}
	class := func(requests, failed int, gaps ...outage.Gap) outage.Class {
		return outage.Class{Requests: requests, Failed: failed, Longest: gaps}
	}
	run := Run{
		Scenario: "vm-kill", Started: start, Ended: at(30000), Targets: []string{"http://a", "http://b"}, CPU: 3 * second,
		Options: []Option{{"rate", "500"}},
		Load: load.Report{
			Start:           start,
			Reads:           load.OpReport{Count: 9000, Failed: 0, Latency: load.Latency{P50: time.Millisecond, P99: 4 * time.Millisecond, Max: 60 * time.Millisecond}},
			Writes:          load.OpReport{Count: 6000, Failed: 3, Outcomes: map[load.Outcome]int{load.Unknown: 2, load.Acknowledged: 5997}, Latency: load.Latency{P99: 700 * time.Millisecond}},
			Ops:             map[load.Op]load.OpReport{load.Read: {Count: 9000}, load.Update: {Count: 6000, Failed: 3, Outcomes: map[load.Outcome]int{load.Unknown: 2}}},
			Failures:        []load.Failure{{Op: load.Update, Reason: "503 urn:sessiond:outcome-unknown", Count: 3, First: at(10100), Last: at(11200)}},
			NotSentInFlight: 4, NotSentNoSession: 1,
			Ledger: ledger.Summary{Violations: map[ledger.Verdict]uint64{ledger.Lost: 7, ledger.Stale: 1}, Sessions: map[ledger.Verdict]uint64{ledger.Lost: 2, ledger.Stale: 1},
				Examples: []ledger.Finding{{Verdict: ledger.Lost, Key: "secret-session-id-0123456789", Request: "read", Reason: "gone", Started: at(11000), Ended: at(11001)}}},
		},
		Sweep:  load.SweepReport{Live: 1000, Deleted: 50, Unread: 5},
		Shards: []cluster.Shard{{Name: "0", Master: "redis-1.vm1"}, {Name: "5461", Master: "redis-2.vm2"}},
		Phases: []outage.Phase{
			{Name: "before", Began: start, Reads: class(3000, 0, gap(100, 120), gap(200, 230)), Writes: class(2000, 0, gap(300, 340), gap(500, 540))},
			{Name: "kill vm2", Began: at(10000), Reads: class(3000, 0, gap(10100, 10130), gap(10050, 10110)), Writes: class(2000, 3, gap(10500, 10530), gap(10020, 10770)), Interruptions: []outage.Interval{{From: at(10020), To: at(11200)}, {From: at(18000), To: at(18100)}}},
			{Name: "start vm2", Began: at(20000), Reads: class(3000, 0, gap(20100, 20115), gap(20100, 20115)), Writes: class(2000, 0, gap(20500, 20530), gap(21000, 21030))},
		},
		Faults: []fault.Made{
			{Step: fault.Step{At: 10 * second, Action: "kill", Target: "vm2"}, Began: at(10000), Ended: at(10400)},
			{Step: fault.Step{At: 20 * second, Action: "start", Target: "vm2"}, Began: at(20000), Ended: at(20300), Err: errors.New("no answer")},
		},
		NotMade: []fault.Step{{At: 40 * second, Action: "kill", Target: "vm3"}},
		Events: []cluster.Event{
			{Time: at(10650), Type: "promoted", Node: "redis-5.vm1", Text: "b", Instance: "http://b"},
			{Time: at(10200), Type: "node-suspect", Node: "redis-2.vm2", Text: "silent", Instance: "http://a"},
			{Time: at(10600), Type: "promoted", Node: "redis-5.vm1", Text: "a", Instance: "http://a"},
		},
	}
	for s := range 30 {
		now := load.Second{At: at(s * 1000), Reads: load.SecondOf{Count: 300, P50: time.Millisecond, P99: 4 * time.Millisecond, Max: 9 * time.Millisecond},
			Writes: load.SecondOf{Count: 200, P50: 2 * time.Millisecond, P99: 5 * time.Millisecond, Max: 20 * time.Millisecond}}
		if s == 10 {
			now.Writes = load.SecondOf{Count: 200, Failed: 3, NotSent: 5, P50: 3 * time.Millisecond, P99: 700 * time.Millisecond, Max: 1200 * time.Millisecond}
		}
		run.Load.Timeline = append(run.Load.Timeline, now)
	}
	return run
}

func TestFigures(t *testing.T) {
	r := New(example(), Limits{})
	f := r.Figures
	for name, test := range map[string]struct{ got, want any }{
		"lost sessions":             {f.Lost, 2},
		"stale sessions":            {f.Stale, 1},
		"violations":                {f.Violations, 8},
		"failed writes":             {f.FailedWrites, 3},
		"unknown writes":            {f.UnknownWrites, 2},
		"not sent":                  {f.NotSent, 5},
		"swept":                     {f.Swept, 1045},
		"unread":                    {f.Unread, 5},
		"read stall":                {f.ReadStall.Duration(), 60 * time.Millisecond},
		"its shard":                 {f.ReadStallShard, "5461"},
		"write stall":               {f.WriteStall.Duration(), 750 * time.Millisecond},
		"promotions, each once":     {f.Promotions, 1},
		"promotion, by the first":   {f.Promotion.Duration(), 600 * time.Millisecond},
		"recovery, of the failures": {f.Recovery.Duration(), 1200 * time.Millisecond},
		"CPU":                       {f.CPU, 0.1},
		"faults":                    {len(r.Faults), 2},
		"failed writes of the kill": {r.Faults[0].FailedWrites, 3},
		"the kill took":             {r.Faults[0].Took.Duration(), 400 * time.Millisecond},
		"the start mends":           {r.Faults[1].Mends, true},
		"its error":                 {r.Faults[1].Error, "no answer"},
		"a gap of the shard":        {r.Shards[1].WriteGap.Duration(), 750 * time.Millisecond},
		"where it began":            {r.Shards[1].WriteGapAt.Duration(), 10020 * time.Millisecond},
		"events in order":           {r.Events[0].Type, "node-suspect"},
		"notes":                     {len(r.Notes), 2},
		"operations":                {len(r.Operations), 2},
		"lasted":                    {r.Lasted.Duration(), 30 * second},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %v, want %v", name, test.got, test.want)
		}
	}
	if r.Faults[1].Recovered != nil || r.Faults[1].Promoted != nil {
		t.Errorf("nothing was interrupted by the start: %+v", r.Faults[1])
	}
	var marks []string
	for _, m := range r.Marks {
		marks = append(marks, m.Kind+" "+m.At.String())
	}
	if want := []string{"fault 10s", "promotion 10.6s", "recovery 11.2s", "mend 20s"}; !slices.Equal(marks, want) {
		t.Errorf("marks %q, want %q", marks, want)
	}
}

// A failover without a fault is marked and counted, but has no promotion time.
func TestPromotionWithoutAFault(t *testing.T) {
	run := example()
	run.Faults, run.Phases = nil, run.Phases[:1]
	r := New(run, Limits{})
	if r.Figures.Promotions != 1 || r.Figures.Promotion != 0 || len(r.Marks) != 1 || r.Marks[0].Kind != "promotion" {
		t.Errorf("got %+v, %+v", r.Figures, r.Marks)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := New(example(), Limits{}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	figures := doc["figures"].(map[string]any)
	if figures["promotion_ms"] != 600.0 || figures["write_stall_ms"] != 750.0 || len(doc["timeline"].([]any)) != 30 {
		t.Errorf("got %v", figures)
	}
	if strings.Contains(b.String(), "secret-session-id") {
		t.Error("a session's ID is in the report")
	}
}

func TestSummary(t *testing.T) {
	var limits Limits
	if err := errors.Join(limits.MaxFailedWrites.UnmarshalText([]byte("2")), limits.MaxLost.UnmarshalText([]byte("2"))); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := New(example(), limits).WriteSummary(&b); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(" +").ReplaceAllString(b.String(), " ")
	for _, want := range []string{
		"vm-kill, 30s of load on http://a, http://b", "failed 0 3 (2 of unknown outcome)", "longest stall 60ms (shard 5461) 750ms (shard 5461)",
		"sessions lost 2", "resurrected 0", "promotion time 600ms (1 seen)", "10s kill vm2 600ms 1.2s 0 3 60ms 750ms", "20s start vm2 - - 0 0 15ms 30ms",
		"failed: 3 update: 503 urn:sessiond:outcome-unknown", "found: lost: read", "note: not made, because the load ended first: fault 40s:kill:vm3", "BROKEN: --max-failed-writes 2, was 3",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(text, "max-lost") {
		t.Errorf("a limit that holds is called broken:\n%s", b.String())
	}
}

// The page loads nothing, and shows foreign text as text.
func TestPage(t *testing.T) {
	run := example()
	run.Events[0].Text = `</script><script>alert(1)</script>`
	run.Options = append(run.Options, Option{"fault-by", `<img src="http://example.com/x">`})
	var b bytes.Buffer
	if err := New(run, Limits{}).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts, want 2", n)
	}
	for _, tag := range regexp.MustCompile(`<[^>]*\s(?:src|href)\s*=\s*"[^"]*"`).FindAllString(page, -1) {
		if tag != `<link rel="icon" href="data:,"` {
			t.Errorf("the page asks for %s", tag)
		}
	}
	if strings.Contains(page, "url(") || strings.Contains(page, "@import") || strings.Contains(page, "fetch(") {
		t.Error("the page asks for something")
	}
	if strings.Contains(page, "secret-session-id") || strings.Contains(page, "ZgotmplZ") {
		t.Error("a session's ID is in the page, or a value that the template refused")
	}
	data := regexp.MustCompile(`(?s)id="data">(.*?)</script>`).FindStringSubmatch(page)
	var doc struct {
		Lasted   float64 `json:"lasted_ms"`
		Marks    []Mark
		Timeline []any
	}
	if data == nil {
		t.Fatal("no data")
	}
	if err := json.Unmarshal([]byte(data[1]), &struct {
		Lasted   *float64 `json:"lasted_ms"`
		Timeline *[]any
	}{&doc.Lasted, &doc.Timeline}); err != nil || doc.Lasted != 30000 || len(doc.Timeline) != 30 {
		t.Errorf("%v: got %+v", err, doc)
	}
}

// The picture has each mark's line where its time is.
func TestPicture(t *testing.T) {
	var b bytes.Buffer
	r := New(example(), Limits{})
	if err := r.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	p := picture{end: r.Lasted}
	for _, m := range r.Marks {
		hits := 0
		for y := range img.Bounds().Dy() {
			r1, g1, b1, _ := img.At(int(p.x(m.At)), y).RGBA()
			r2, g2, b2, _ := inkOf(m.Kind).RGBA()
			if r1 == r2 && g1 == g2 && b1 == b2 {
				hits++
			}
		}
		if hits < img.Bounds().Dy()/2 {
			t.Errorf("%s %s: %d of %d pixels of its line", m.Kind, m.At, hits, img.Bounds().Dy())
		}
	}
}

// A run without any requests still makes a report.
func TestEmptyRun(t *testing.T) {
	r := New(Run{Scenario: "load", Started: start, Ended: start}, Limits{})
	var b bytes.Buffer
	if err := errors.Join(r.WriteHTML(&b), r.WriteJSON(&b), r.WritePNG(&b), r.WriteSummary(&b)); err != nil {
		t.Error(err)
	}
}

func TestCondense(t *testing.T) {
	var seconds []Second
	for i := range 7 {
		seconds = append(seconds, Second{At: Millis(i) * Millis(second), Span: 1,
			Reads: SecondOf{Count: 10 * (i + 1), Failed: i, P50: Millis(i), P99: Millis(10 * i), Max: Millis(100 - i)}})
	}
	if got := condense(seconds, 7); len(got) != 7 {
		t.Errorf("%d seconds, want all 7", len(got))
	}
	got := condense(seconds, 3)
	if len(got) != 3 || got[0].Span != 3 || got[2].Span != 1 || got[1].At != Millis(3*second) {
		t.Fatalf("got %+v", got)
	}
	if r := got[0].Reads; r.Count != 60 || r.Failed != 3 || r.P50 != Millis((20+60)/60) || r.P99 != 20 || r.Max != 100 {
		t.Errorf("got %+v", r)
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0:                         {"0", "0"},
		1234567 * time.Nanosecond: {"1.23ms", "1.234"},
		1234 * time.Millisecond:   {"1.234s", "1234"},
		75432 * time.Millisecond:  {"1m15.4s", "75432"},
	} {
		text, err := Millis(d).MarshalJSON()
		if got := Millis(d).String(); err != nil || got != want[0] || string(text) != want[1] {
			t.Errorf("%s: %s, %s, %v", d, got, text, err)
		}
	}
}
