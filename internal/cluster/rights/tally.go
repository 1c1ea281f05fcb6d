package rights

import (
	"fmt"
	"slices"
	"time"
)

// A Verdict is a register's answer to a request, in one word.
type Verdict string

const (
	Granted   Verdict = "granted"
	Leased    Verdict = "leased"    // a mark is refused: somebody may take the replica's word
	Marked    Verdict = "marked"    // a lease is refused: the replica may lack a write that was acknowledged
	Wanted    Verdict = "wanted"    // a lease is refused: somebody has just wanted a mark, so the master is alive
	Young     Verdict = "young"     // the register may have forgotten a mark or a lease
	Epoch     Verdict = "epoch"     // there was an election whose outcome is not known here
	Unvouched Verdict = "unvouched" // a mark is refused: the register has not heard from the master, or it is master no more
	Elsewhere Verdict = "elsewhere" // the node is not the master that the asker takes it for
	Stepped   Verdict = "stepped"   // the clock of the register was set
	Silent    Verdict = "silent"    // no answer in time
)

// Verdicts are all of them. Of several reasons to refuse, the first in this order is the one that is told.
var Verdicts = []Verdict{Granted, Leased, Marked, Wanted, Epoch, Young, Unvouched, Elsewhere, Stepped, Silent}

// A Refusal is the error of a right that was not granted.
type Refusal struct{ Reason Verdict }

func (r *Refusal) Error() string {
	return fmt.Sprintf("not granted by a majority of masters: %s", r.Reason)
}

// A tally is the outcome of a round.
type tally struct {
	began    time.Time
	verdicts map[string]Verdict // by register
	sets     [][]string         // of each, a majority must grant
}

// granted reports whether a majority of each set has granted the request.
func (t tally) granted() bool {
	granted := func(id string) bool { return t.verdicts[id] == Granted }
	return !slices.ContainsFunc(t.sets, func(set []string) bool { return !majority(set, granted) })
}

// knows reports whether a register has answered, and has voted for nobody whom we do not know.
func (t tally) knows(id string) bool {
	return slices.Contains([]Verdict{Granted, Leased, Marked, Wanted, Young, Unvouched}, t.verdicts[id])
}

func majority(set []string, is func(id string) bool) bool {
	n := 0
	for _, id := range set {
		if is(id) {
			n++
		}
	}
	return n > len(set)/2
}

// refusal returns nil if the request was granted, and otherwise the reason.
func (t tally) refusal() error {
	if len(t.verdicts) > 0 && t.granted() {
		return nil
	}
	for _, reason := range Verdicts[1:] {
		for _, v := range t.verdicts {
			if v == reason {
				return &Refusal{reason}
			}
		}
	}
	return &Refusal{Silent}
}

// A Kind is one of the rights that can be asked for.
type Kind string

const (
	Lease  Kind = "lease"
	Forced Kind = "force" // a lease for an election
	Mark   Kind = "mark"
)

// Kinds are all of them.
var Kinds = []Kind{Lease, Forced, Mark}

// An Outcome is that of one round.
type Outcome struct {
	Kind     Kind
	Replicas []string // IDs
	Reason   Verdict  // Granted, or why not
}

func outcome(kind Kind, err error, replicas ...string) Outcome {
	o := Outcome{kind, replicas, Granted}
	if r, ok := err.(*Refusal); ok {
		o.Reason = r.Reason
	}
	return o
}
