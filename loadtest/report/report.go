// Package report turns a finished run into what people read: a summary for the terminal, report.json, report.html and
// timeline.png. It also checks the run against limits.
package report

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/sessiond/sessiond/loadtest/load"
)

// A Report is all that is known about a run. Its JSON form is report.json. Times on the timeline count from the start.
type Report struct {
	Scenario    string      `json:"scenario"`
	Started     time.Time   `json:"started"`
	Lasted      Millis      `json:"lasted_ms"` // of the load, without the sweep
	Interrupted bool        `json:"interrupted"`
	Targets     []string    `json:"targets"`
	Options     []Option    `json:"options"`
	Notes       []string    `json:"notes"` // what the reader must know, such as faults that failed or were not made
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

// Figures are the numbers that limits refer to. A stall is the longest time a shard went without a good answer. Latencies
// count from the intended start.
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

	// Sessions by the ledger's verdict.
	Lost         int `json:"lost"`
	Resurrected  int `json:"resurrected"`
	Stale        int `json:"stale"`
	EarlyExpired int `json:"early_expired"`
	Corrupt      int `json:"corrupt"`
	Duplicated   int `json:"duplicated"`
	Violations   int `json:"violations"` // answers, not sessions

	Swept       int  `json:"swept"`  // sessions read back after the load, including revoked ones
	Unread      int  `json:"unread"` // sessions that could not be read back
	SweepCutOff bool `json:"sweep_cut_off"`

	Promotions int    `json:"promotions"`
	Promotion  Millis `json:"promotion_ms"` // the longest, from the moment the fault was ordered; 0 if there was none
	Recovery   Millis `json:"recovery_ms"`  // the longest, from the same moment

	// CPU is what the load generator itself used during the load, in cores.
	CPU float64 `json:"cpu_cores"`
}

// A Latency is a distribution, counted from the intended start and from sending.
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

// A Fault is a step of the schedule, with what followed until the next one.
type Fault struct {
	Name         string  `json:"name"`
	At           Millis  `json:"at_ms"`
	Took         Millis  `json:"took_ms"` // how long its commands ran
	Error        string  `json:"error,omitempty"`
	Mends        bool    `json:"mends"`                  // it ends a fault
	Promoted     *Millis `json:"promoted_ms,omitempty"`  // from its order until the last shard had a new master
	Recovered    *Millis `json:"recovered_ms,omitempty"` // from its order; missing if nothing was interrupted
	FailedReads  int     `json:"failed_reads"`
	FailedWrites int     `json:"failed_writes"`
	ReadStall    Millis  `json:"read_stall_ms"`
	WriteStall   Millis  `json:"write_stall_ms"`
}

// A Shard has the longest times it went without a good answer.
type Shard struct {
	Name       string `json:"shard"`
	Master     string `json:"master"` // when the load began
	ReadGap    Millis `json:"read_gap_ms"`
	ReadGapAt  Millis `json:"read_gap_at_ms"`
	WriteGap   Millis `json:"write_gap_ms"`
	WriteGapAt Millis `json:"write_gap_at_ms"`
}

// An Operation sums up one operation.
type Operation struct {
	Name     string         `json:"operation"`
	Count    int            `json:"count"`
	Failed   int            `json:"failed"`
	Outcomes map[string]int `json:"outcomes"`
	Latency  Latency        `json:"latency"`
}

// A Failure is all requests of one operation that failed for the same reason.
type Failure struct {
	Operation string `json:"operation"`
	Reason    string `json:"reason"`
	Count     int    `json:"count"`
	First     Millis `json:"first_ms"`
	Last      Millis `json:"last_ms"`
}

// A Mark is a labelled moment on the timeline.
type Mark struct {
	At    Millis `json:"at_ms"`
	Kind  string `json:"kind"` // fault, mend, promotion or recovery
	Label string `json:"label"`
}

// An Event is something that an instance saw in the cluster.
type Event struct {
	At       Millis `json:"at_ms"`
	Type     string `json:"type"`
	Text     string `json:"text"`
	Instance string `json:"instance"`
}

// A Second covers the arrivals due in one second, or in Span seconds.
type Second struct {
	At     Millis   `json:"at_ms"`
	Span   int      `json:"span_s"`
	Reads  SecondOf `json:"reads"`
	Writes SecondOf `json:"writes"`
}

// SecondOf is a Second's reads, or its writes.
type SecondOf struct {
	Count   int    `json:"count"`
	Failed  int    `json:"failed"`
	NotSent int    `json:"not_sent"`
	P50     Millis `json:"p50_ms"`
	P99     Millis `json:"p99_ms"`
	Max     Millis `json:"max_ms"`
}

// Millis is a duration, written to JSON in milliseconds.
type Millis time.Duration

func (m Millis) Duration() time.Duration { return time.Duration(m) }

// MarshalJSON writes milliseconds with a resolution of a microsecond.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(m).Microseconds())/1000, 'f', -1, 64), nil
}

// String rounds to the digits that matter to a person.
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

// Broken reports whether any limit is broken.
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
