package load

import (
	"fmt"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A Result is one request and its outcome.
type Result struct {
	Op     Op
	Key    string `json:"-"` // the session's ID, a credential; "" for a create that failed and for a list
	User   string // of a create and a list
	Slot   uint16 // hash slot; meaningless if both Key and User are empty
	Target string // host and port of the last one tried

	Intended, Sent, Done time.Time

	Status  int    // 0 if there was no answer
	Problem string // the problem document's type
	Err     error  // if there was no answer
	Redials int    // targets that refused a connection before this one

	PreferenceApplied string // header Preference-Applied
	SessionSource     string // header Session-Source

	Outcome Outcome
	Verdict ledger.Verdict
	// Failed: no answer, a status of 500 or above, or an answer that the ledger cannot account for.
	Failed bool
}

// Latency counts from the intended start.
func (r Result) Latency() time.Duration { return r.Done.Sub(r.Intended) }

// ServiceTime counts from the start of the request itself.
func (r Result) ServiceTime() time.Duration { return r.Done.Sub(r.Sent) }

// Reason says in a few words why a request failed: the problem's type, the status, or the error.
func (r Result) Reason() string {
	switch {
	case r.Verdict != ledger.OK && r.Status < 500:
		return fmt.Sprintf("%d, %s", r.Status, r.Verdict)
	case r.Problem != "":
		return fmt.Sprintf("%d %s", r.Status, r.Problem)
	case r.Status != 0:
		return fmt.Sprint(r.Status)
	}
	return errorClass(r.Err)
}

func (r Result) String() string {
	text := fmt.Sprintf("%s at %s, slot %d: %s after %s", r.Op, r.Target, r.Slot, r.Reason(), r.Latency().Round(time.Millisecond))
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// An Outcome is what a request did, as far as its answer says.
type Outcome uint8

const (
	Answered     Outcome = iota // a read, with a session, a list or proven absence
	Acknowledged                // a write that was applied
	Refused                     // nothing was applied; for a read: the answer says nothing about the session
	Missing                     // a write that found no session: nothing was applied
	Conflict                    // a write whose If-Match did not hold: nothing was applied
	Unknown                     // a write that may have been applied, or may still be
)

func (o Outcome) String() string {
	return [...]string{"answered", "acknowledged", "refused", "missing", "conflict", "unknown"}[o]
}

// MarshalText writes the name, for reports.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
