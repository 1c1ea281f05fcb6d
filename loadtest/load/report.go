package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A Report holds what was measured. It shares nothing with a load that is still running.
type Report struct {
	Start    time.Time
	Ops      map[Op]OpReport
	Reads    OpReport // all operations of the class together
	Writes   OpReport
	Timeline []Second // from the first, without gaps; the last ones may still grow
	Failures []Failure
	// LongestReads and LongestWrites are the slowest single requests.
	LongestRead, LongestWrite Longest
	// NotSentInFlight counts arrivals that were not sent because MaxInFlight requests were in flight. NotSentNoSession
	// counts those for which every session drawn had a write in flight, or there was no room for another session.
	NotSentInFlight, NotSentNoSession int
	Redials                           int // refused connections after which another target was tried
	InFlight                          int
	Sessions                          int // in use now
	Abandoned                         int // sessions whose new ID was lost with the answer to a rotation
	Ledger                            ledger.Summary
}

// An OpReport sums up one operation, or one class of operations.
type OpReport struct {
	Count, Failed int
	Outcomes      map[Outcome]int
	Latency       Latency // from the intended start
	Service       Latency // from the start of the request
}

// A Latency is a distribution.
type Latency struct {
	Mean, P50, P90, P99, P999, Max time.Duration
	// Histogram counts microseconds.
	Histogram *hdrhistogram.Histogram `json:"-"`
}

// Longest is the slowest request counted from the intended start, and the slowest counted from its own start.
type Longest struct{ Latency, Service Result }

// A Second covers the arrivals due in one second.
type Second struct {
	At            time.Time
	Reads, Writes SecondOf
}

// SecondOf is one class in one second. Latencies count from the intended start.
type SecondOf struct {
	Count, Failed, NotSent int
	P50, P99, Max          time.Duration
}

// A Failure is all requests of one operation that failed for the same reason.
type Failure struct {
	Op          Op
	Reason      string
	Status      int
	Problem     string
	Count       int
	First, Last time.Time // when they ended
	Examples    []Result
}

func (r *recorder) report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := Report{Start: r.start, Ops: map[Op]OpReport{}, Timeline: slices.Clone(r.closed), Redials: r.redials,
		NotSentInFlight: r.notSent[tooMany], NotSentNoSession: r.notSent[noSession]}
	for i := len(r.closed); i <= r.newest && !r.start.IsZero(); i++ {
		rep.Timeline = append(rep.Timeline, figures(r.start, i, r.open[i]))
	}
	var sums [classes]opRecord
	for c := range sums {
		sums[c] = opRecord{intended: newHistogram(totalDigits), service: newHistogram(totalDigits), outcomes: map[Outcome]int{}}
	}
	for op := range ops {
		of := r.perOp[op]
		if of.intended == nil {
			continue
		}
		rep.Ops[op] = of.report()
		sum := &sums[op.Class()]
		sum.intended.Merge(of.intended)
		sum.service.Merge(of.service)
		sum.failed += of.failed
		for outcome, n := range of.outcomes {
			sum.outcomes[outcome] += n
		}
	}
	rep.Reads, rep.Writes = sums[Reads].report(), sums[Writes].report()
	rep.LongestRead = Longest{r.longest[Reads][0], r.longest[Reads][1]}
	rep.LongestWrite = Longest{r.longest[Writes][0], r.longest[Writes][1]}
	for _, f := range r.failures {
		c := *f
		c.Examples = slices.Clone(f.Examples)
		rep.Failures = append(rep.Failures, c)
	}
	slices.SortFunc(rep.Failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Reason, b.Reason))
	})
	return rep
}

func (o opRecord) report() OpReport {
	return OpReport{Count: int(o.intended.TotalCount()), Failed: o.failed, Outcomes: maps.Clone(o.outcomes),
		Latency: latencyOf(o.intended), Service: latencyOf(o.service)}
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	l := Latency{P50: quantile(h, 50), P90: quantile(h, 90), P99: quantile(h, 99), P999: quantile(h, 99.9), Max: quantile(h, 100),
		Histogram: hdrhistogram.Import(h.Export())}
	if h.TotalCount() > 0 {
		l.Mean = time.Duration(h.Mean() * float64(time.Microsecond))
	}
	return l
}

// String returns a short text for logs and terminals.
func (r Report) String() string {
	var b strings.Builder
	for _, c := range []struct {
		name    string
		of      OpReport
		longest Longest
	}{{"reads", r.Reads, r.LongestRead}, {"writes", r.Writes, r.LongestWrite}} {
		fmt.Fprintf(&b, "%s: %d, failed %d, p50 %s, p99 %s, max %s (%s from the send)\n", c.name, c.of.Count, c.of.Failed, c.of.Latency.P50, c.of.Latency.P99,
			c.longest.Latency.Latency(), c.longest.Service.ServiceTime())
	}
	fmt.Fprintf(&b, "not sent: %d too many in flight, %d no free session; redials %d, abandoned %d\n", r.NotSentInFlight, r.NotSentNoSession, r.Redials, r.Abandoned)
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "failed: %d %s: %s\n", f.Count, f.Op, f.Reason)
	}
	fmt.Fprintf(&b, "ledger: %s\n", r.Ledger)
	for _, e := range r.Ledger.Examples {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	return b.String()
}
