// Package report makes of a finished run what people read: a summary for the terminal, report.json, report.html and
// timeline.png; and judges it by limits.
package report

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/sessiond/sessiond/loadtest/load"
)

// A Report is all that is known of a run. Its JSON form is report.json; times on the timeline count from the start.
type Report struct {
	Scenario    string      `json:"scenario"`
	Started     time.Time   `json:"started"`
	Lasted      Millis      `json:"lasted_ms"` // of the load, without the sweep
	Interrupted bool        `json:"interrupted"`
	Targets     []string    `json:"targets"`
	Options     []Option    `json:"options"`
	Notes       []string    `json:"notes"` // what the reader must know: faults that failed or were not made
	Figures     Figures     `json:"figures"`
	Checks      []Check     `json:"checks"`
	Faults      []Fault     `json:"faults"`
	Shards      []Shard     `json:"shards"`
	Operations  []Operation `json:"operations"`
	Failures    []Failure   `json:"failures"`
	Findings    []string    `json:"findings"` // of the ledger; no IDs
	Marks       []Mark      `json:"marks"`
	Events      []Event     `json:"events"`
	Timeline    []Second    `json:"timeline"`
}

// Figures are the numbers that limits refer to. Stalls are the longest time in which a shard gave no good answer;
// latencies count from the intended start.
type Figures struct {
	Reads         int `json:"reads"`
	FailedReads   int `json:"failed_reads"`
	Writes        int `json:"writes"`
	FailedWrites  int `json:"failed_writes"`
	UnknownWrites int `json:"unknown_writes"`
	NotSent       int `json:"not_sent"`
	InFlightFull  int `json:"not_sent_in_flight"`
	NoSession     int `json:"not_sent_no_session"`
	Redials       int `json:"redials"`

	ReadStall       Millis  `json:"read_stall_ms"`
	ReadStallShard  string  `json:"read_stall_shard"`
	WriteStall      Millis  `json:"write_stall_ms"`
	WriteStallShard string  `json:"write_stall_shard"`
	ReadLatency     Latency `json:"read_latency"`
	WriteLatency    Latency `json:"write_latency"`

	// Sessions by what the ledger found.
	Lost         int `json:"lost"`
	Resurrected  int `json:"resurrected"`
	Stale        int `json:"stale"`
	EarlyExpired int `json:"early_expired"`
	Corrupt      int `json:"corrupt"`
	Duplicated   int `json:"duplicated"`
	Violations   int `json:"violations"` // answers, not sessions

	Swept       int  `json:"swept"`  // sessions that were read back after the load, revoked ones among them
	Unread      int  `json:"unread"` // and that could not be
	SweepCutOff bool `json:"sweep_cut_off"`

	Promotions int    `json:"promotions"`
	Promotion  Millis `json:"promotion_ms"` // the longest, from the order of the fault; 0 if there was none
	Recovery   Millis `json:"recovery_ms"`  // the longest, likewise

	// CPU is what the load generator itself used while it loaded, in cores.
	CPU float64 `json:"cpu_cores"`
}

// A Latency is a distribution from the intended start, and from the send.
type Latency struct {
	P50     Millis `json:"p50_ms"`
	P99     Millis `json:"p99_ms"`
	P999    Millis `json:"p999_ms"`
	Max     Millis `json:"max_ms"`
	P50Sent Millis `json:"p50_from_send_ms"`
	P99Sent Millis `json:"p99_from_send_ms"`
	MaxSent Millis `json:"max_from_send_ms"`
}

// An Option is a flag and its value.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Fault is a step of the schedule, and what followed until the next one.
type Fault struct {
	Name         string  `json:"name"`
	At           Millis  `json:"at_ms"`
	Took         Millis  `json:"took_ms"` // its commands
	Error        string  `json:"error,omitempty"`
	Mends        bool    `json:"mends"`                  // it ends a fault
	Promoted     *Millis `json:"promoted_ms,omitempty"`  // after its order, when the last shard had a new master
	Recovered    *Millis `json:"recovered_ms,omitempty"` // after its order; missing if nothing was interrupted
	FailedReads  int     `json:"failed_reads"`
	FailedWrites int     `json:"failed_writes"`
	ReadStall    Millis  `json:"read_stall_ms"`
	WriteStall   Millis  `json:"write_stall_ms"`
}

// A Shard is how long it went without a good answer, at most.
type Shard struct {
	Name       string `json:"shard"`
	Master     string `json:"master"` // when the load began
	ReadGap    Millis `json:"read_gap_ms"`
	ReadGapAt  Millis `json:"read_gap_at_ms"`
	WriteGap   Millis `json:"write_gap_ms"`
	WriteGapAt Millis `json:"write_gap_at_ms"`
}

// An Operation sums one operation up.
type Operation struct {
	Name     string         `json:"operation"`
	Count    int            `json:"count"`
	Failed   int            `json:"failed"`
	Outcomes map[string]int `json:"outcomes"`
	Latency  Latency        `json:"latency"`
}

// A Failure is all failed requests of one operation for the same reason.
type Failure struct {
	Operation string `json:"operation"`
	Reason    string `json:"reason"`
	Count     int    `json:"count"`
	First     Millis `json:"first_ms"`
	Last      Millis `json:"last_ms"`
}

// A Mark is a moment that the timeline names.
type Mark struct {
	At    Millis `json:"at_ms"`
	Kind  string `json:"kind"` // fault, mend, promotion or recovery
	Label string `json:"label"`
}

// An Event is what an instance saw of the cluster.
type Event struct {
	At       Millis `json:"at_ms"`
	Type     string `json:"type"`
	Text     string `json:"text"`
	Instance string `json:"instance"`
}

// A Second is the arrivals that were due in one second, or in as many as Span tells.
type Second struct {
	At     Millis   `json:"at_ms"`
	Span   int      `json:"span_s"`
	Reads  SecondOf `json:"reads"`
	Writes SecondOf `json:"writes"`
}

// SecondOf is one class in a Second.
type SecondOf struct {
	Count   int    `json:"count"`
	Failed  int    `json:"failed"`
	NotSent int    `json:"not_sent"`
	P50     Millis `json:"p50_ms"`
	P99     Millis `json:"p99_ms"`
	Max     Millis `json:"max_ms"`
}

// Millis is a duration that is milliseconds in JSON.
type Millis time.Duration

func (m Millis) Duration() time.Duration { return time.Duration(m) }

// MarshalJSON writes milliseconds, with the microseconds behind the point.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(m).Microseconds())/1000, 'f', -1, 64), nil
}

// String rounds to what a person wants to know.
func (m Millis) String() string {
	d := time.Duration(m)
	switch {
	case d == 0:
		return "0"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// WriteJSON writes report.json.
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}

// Broken reports whether a limit is.
func (r Report) Broken() bool {
	for _, c := range r.Checks {
		if c.Broken {
			return true
		}
	}
	return false
}

func latencyOf(o load.OpReport, longest load.Longest) Latency {
	l := Latency{P50: Millis(o.Latency.P50), P99: Millis(o.Latency.P99), P999: Millis(o.Latency.P999), Max: Millis(o.Latency.Max),
		P50Sent: Millis(o.Service.P50), P99Sent: Millis(o.Service.P99), MaxSent: Millis(o.Service.Max)}
	if exact := longest.Latency.Latency(); exact > 0 { // the histogram rounds
		l.Max, l.MaxSent = Millis(exact), Millis(longest.Service.ServiceTime())
	}
	return l
}
