package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sessiond/sessiond/loadtest/cluster"
	"github.com/sessiond/sessiond/loadtest/fault"
	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/outage"
)

// eventsKept bounds the events in a report; the rest is counted in a note.
const eventsKept = 1000

// A Run is what a Report is made of.
type Run struct {
	Scenario       string
	Started, Ended time.Time // of the load
	Interrupted    bool
	Targets        []string
	Options        []Option
	Notes          []string
	Load           load.Report // after the sweep, so that its ledger holds the sweep's findings
	Sweep          load.SweepReport
	SweepCutOff    bool
	Shards         []cluster.Shard
	Phases         []outage.Phase // before the first fault, and one for each that was made
	Faults         []fault.Made
	NotMade        []fault.Step
	Events         []cluster.Event
	CPU            time.Duration // of this process, while it loaded
}

// New makes a report.
func New(run Run, limits Limits) Report {
	r := Report{
		Scenario: run.Scenario, Started: run.Started.UTC(), Lasted: Millis(run.Ended.Sub(run.Started)), Interrupted: run.Interrupted,
		Targets: run.Targets, Options: run.Options, Notes: slices.Clone(run.Notes),
	}
	for _, m := range run.Faults {
		if m.Err != nil {
			r.Notes = append(r.Notes, "failed: "+m.Err.Error())
		}
	}
	for _, s := range run.NotMade {
		r.Notes = append(r.Notes, "not made, because the load ended first: fault "+s.String())
	}
	r.Figures = figures(run)
	r.faults(run)
	r.shards(run)
	r.operations(run)
	r.events(run)
	r.timeline(run)
	for _, f := range run.Load.Ledger.Examples {
		r.Findings = append(r.Findings, f.String())
	}
	slices.SortStableFunc(r.Marks, func(a, b Mark) int { return cmp.Compare(a.At, b.At) })
	r.Checks = limits.Check(r.Figures)
	return r
}

// since returns a time on the timeline.
func (run Run) since(t time.Time) Millis { return Millis(t.Sub(run.Started)) }

func figures(run Run) Figures {
	l := run.Load
	found := func(v ledger.Verdict) int { return int(l.Ledger.Sessions[v]) }
	f := Figures{
		Reads: l.Reads.Count, FailedReads: l.Reads.Failed, Writes: l.Writes.Count, FailedWrites: l.Writes.Failed,
		UnknownWrites: l.Writes.Outcomes[load.Unknown],
		NotSent:       l.NotSentInFlight + l.NotSentNoSession, InFlightFull: l.NotSentInFlight, NoSession: l.NotSentNoSession, Redials: l.Redials,
		ReadLatency: latencyOf(l.Reads, l.LongestRead), WriteLatency: latencyOf(l.Writes, l.LongestWrite),
		Lost: found(ledger.Lost), Resurrected: found(ledger.Resurrected), Stale: found(ledger.Stale),
		EarlyExpired: found(ledger.EarlyExpired), Corrupt: found(ledger.Corrupt), Duplicated: found(ledger.Duplicated),
		Violations: int(l.Ledger.Total()),
		Swept:      run.Sweep.Live + run.Sweep.Deleted - run.Sweep.Unread, Unread: run.Sweep.Unread, SweepCutOff: run.SweepCutOff,
	}
	if lasted := run.Ended.Sub(run.Started); lasted > 0 {
		f.CPU = run.CPU.Seconds() / lasted.Seconds()
	}
	return f
}

// faults lists and marks the faults with what followed each. It sets the figures of promotion and recovery.
func (r *Report) faults(run Run) {
	first := run.Ended
	if len(run.Faults) > 0 {
		first = run.Faults[0].Began
	}
	for _, p := range promotions(run.Events, run.Started, first) { // without a fault
		r.Figures.Promotions++
		r.promoted(run, p)
	}
	for i, made := range run.Faults {
		f := Fault{Name: made.Name(), At: run.since(made.Began), Took: Millis(made.Ended.Sub(made.Began)), Mends: made.Mends()}
		if made.Err != nil {
			f.Error = made.Err.Error()
		}
		kind := "fault"
		if f.Mends {
			kind = "mend"
		}
		r.Marks = append(r.Marks, Mark{f.At, kind, f.Name})
		until := run.Ended
		if i+1 < len(run.Faults) {
			until = run.Faults[i+1].Began
		}
		for _, p := range promotions(run.Events, made.Began, until) {
			after := Millis(p.Time.Sub(made.Began))
			r.promoted(run, p)
			f.Promoted = &after // the last one stays
			if !f.Mends {
				r.Figures.Promotions++
				r.Figures.Promotion = max(r.Figures.Promotion, after)
			}
		}
		if i+1 < len(run.Phases) {
			phase := run.Phases[i+1]
			f.FailedReads, f.FailedWrites = phase.Reads.Failed, phase.Writes.Failed
			f.ReadStall, f.WriteStall = longest(phase.Reads), longest(phase.Writes)
			if at, ok := phase.Recovered(); ok {
				after := Millis(at.Sub(made.Began))
				f.Recovered = &after
				r.Marks = append(r.Marks, Mark{run.since(at), "recovery", "recovered"})
				r.Figures.Recovery = max(r.Figures.Recovery, after)
			}
		}
		r.Faults = append(r.Faults, f)
	}
}

func (r *Report) promoted(run Run, e cluster.Event) {
	r.Marks = append(r.Marks, Mark{run.since(e.Time), "promotion", cmp.Or(e.Node, "a replica") + " promoted"})
}

// promotions returns the promotions within a time, in order: the first of each node, which several instances may have seen.
func promotions(events []cluster.Event, from, until time.Time) []cluster.Event {
	first := map[string]cluster.Event{}
	for _, e := range events {
		if e.Type != "promoted" || e.Time.Before(from) || !e.Time.Before(until) {
			continue
		}
		if old, ok := first[e.Node]; !ok || e.Time.Before(old.Time) {
			first[e.Node] = e
		}
	}
	var list []cluster.Event
	for _, e := range first {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b cluster.Event) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Node, b.Node)) })
	return list
}

func longest(c outage.Class) Millis {
	d := time.Duration(0)
	for _, g := range c.Longest {
		d = max(d, g.Lasted)
	}
	return Millis(d)
}

// shards lists the longest gap of each shard over all phases. It sets the figures of stalls.
func (r *Report) shards(run Run) {
	list := run.Shards
	if len(list) == 0 {
		list = []cluster.Shard{{Name: "all slots"}}
	}
	for i, s := range list {
		row := Shard{Name: s.Name, Master: s.Master}
		for _, p := range run.Phases {
			if g := p.Reads.Longest[i]; Millis(g.Lasted) > row.ReadGap {
				row.ReadGap, row.ReadGapAt = Millis(g.Lasted), run.since(g.From)
			}
			if g := p.Writes.Longest[i]; Millis(g.Lasted) > row.WriteGap {
				row.WriteGap, row.WriteGapAt = Millis(g.Lasted), run.since(g.From)
			}
		}
		if row.ReadGap > r.Figures.ReadStall {
			r.Figures.ReadStall, r.Figures.ReadStallShard = row.ReadGap, row.Name
		}
		if row.WriteGap > r.Figures.WriteStall {
			r.Figures.WriteStall, r.Figures.WriteStallShard = row.WriteGap, row.Name
		}
		r.Shards = append(r.Shards, row)
	}
}

func (r *Report) operations(run Run) {
	for op := load.Create; op <= load.List; op++ {
		o, ok := run.Load.Ops[op]
		if !ok {
			continue
		}
		row := Operation{Name: op.String(), Count: o.Count, Failed: o.Failed, Outcomes: map[string]int{}, Latency: latencyOf(o, load.Longest{})}
		for outcome, n := range o.Outcomes {
			row.Outcomes[outcome.String()] = n
		}
		r.Operations = append(r.Operations, row)
	}
	for _, f := range run.Load.Failures {
		r.Failures = append(r.Failures, Failure{f.Op.String(), f.Reason, f.Count, run.since(f.First), run.since(f.Last)})
	}
}

func (r *Report) events(run Run) {
	events := slices.Clone(run.Events)
	slices.SortStableFunc(events, func(a, b cluster.Event) int { return a.Time.Compare(b.Time) })
	if left := len(events) - eventsKept; left > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d cluster events after the first %d are left out", left, eventsKept))
		events = events[:eventsKept]
	}
	for _, e := range events {
		r.Events = append(r.Events, Event{run.since(e.Time), e.Type, e.Text, e.Instance})
	}
}

func (r *Report) timeline(run Run) {
	of := func(s load.SecondOf) SecondOf {
		return SecondOf{s.Count, s.Failed, s.NotSent, Millis(s.P50), Millis(s.P99), Millis(s.Max)}
	}
	for _, s := range run.Load.Timeline {
		r.Timeline = append(r.Timeline, Second{At: run.since(s.At), Span: 1, Reads: of(s.Reads), Writes: of(s.Writes)})
	}
}

// condense merges neighbouring seconds until at most a given number is left: counts are added, p50 is the mean weighted by
// count, p99 and the maximum are the largest.
func condense(seconds []Second, most int) []Second {
	span := (len(seconds) + most - 1) / most
	if span <= 1 {
		return seconds
	}
	var out []Second
	for part := range slices.Chunk(seconds, span) {
		sum := Second{At: part[0].At, Span: len(part)}
		for _, s := range part {
			sum.Reads.add(s.Reads)
			sum.Writes.add(s.Writes)
		}
		out = append(out, sum)
	}
	return out
}

func (s *SecondOf) add(o SecondOf) {
	if n := s.Count + o.Count; n > 0 {
		s.P50 = Millis((float64(s.P50)*float64(s.Count) + float64(o.P50)*float64(o.Count)) / float64(n))
	}
	s.Count, s.Failed, s.NotSent = s.Count+o.Count, s.Failed+o.Failed, s.NotSent+o.NotSent
	s.P99, s.Max = max(s.P99, o.P99), max(s.Max, o.Max)
}
