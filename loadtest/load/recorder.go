package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longestLatency = 5 * time.Minute // longer latencies are recorded as this
	examplesKept   = 3               // for each kind of failure
	secondDigits   = 2               // significant digits of the figures of one second
	totalDigits    = 3               // and of those of all
)

// newHistogram counts microseconds.
func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longestLatency.Microseconds(), digits)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d, time.Microsecond), longestLatency).Microseconds()) // fails only out of these bounds
}

// Why an arrival was not sent.
type notSent uint8

const (
	tooMany   notSent = iota // MaxInFlight requests were in flight
	noSession                // no session was free for it
	notSents
)

// A recorder collects results. A request may end as late as its timeout, so the figures of a second are computed only once
// the second is that old.
type recorder struct {
	mu       sync.Mutex
	start    time.Time
	lag      int // seconds that a second stays open
	perOp    [ops]opRecord
	open     map[int]*[classes]secondRecord
	spare    []*[classes]secondRecord
	newest   int
	closed   []Second
	failures map[failureKind]*Failure
	longest  [classes][2]Result
	notSent  [notSents]int
	redials  int
}

type opRecord struct {
	intended, service *hdrhistogram.Histogram // nil until the first result
	failed            int
	outcomes          map[Outcome]int
}

type secondRecord struct {
	latency         *hdrhistogram.Histogram
	failed, notSent int
}

type failureKind struct {
	op     Op
	reason string
}

func newRecorder(timeout time.Duration) *recorder {
	return &recorder{lag: int(timeout/time.Second) + 2, open: map[int]*[classes]secondRecord{}, failures: map[failureKind]*Failure{}}
}

// begin sets the start of the timeline, the first time.
func (r *recorder) begin(start time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		r.start = start
	}
}

func (r *recorder) record(res Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op, class := &r.perOp[res.Op], res.Op.Class()
	if op.intended == nil {
		op.intended, op.service, op.outcomes = newHistogram(totalDigits), newHistogram(totalDigits), map[Outcome]int{}
	}
	observe(op.intended, res.Latency())
	observe(op.service, res.ServiceTime())
	op.outcomes[res.Outcome]++
	r.redials += res.Redials
	second := &r.second(res.Intended)[class]
	observe(second.latency, res.Latency())
	if res.Latency() > r.longest[class][0].Latency() {
		r.longest[class][0] = res
	}
	if res.ServiceTime() > r.longest[class][1].ServiceTime() {
		r.longest[class][1] = res
	}
	if !res.Failed {
		return
	}
	op.failed++
	second.failed++
	kind := failureKind{res.Op, res.Reason()}
	f := r.failures[kind]
	if f == nil {
		f = &Failure{Op: res.Op, Reason: kind.reason, Status: res.Status, Problem: res.Problem, First: res.Done}
		r.failures[kind] = f
	}
	f.Count++
	f.Last = res.Done
	if len(f.Examples) < examplesKept {
		f.Examples = append(f.Examples, res)
	}
}

func (r *recorder) notSentAt(op Op, intended time.Time, why notSent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notSent[why]++
	r.second(intended)[op.Class()].notSent++
}

// second finds the record of the second in which an arrival was due. It closes seconds that can get no more results.
func (r *recorder) second(at time.Time) *[classes]secondRecord {
	i := max(int(at.Sub(r.start)/time.Second), len(r.closed))
	s := r.open[i]
	if s == nil {
		if n := len(r.spare); n > 0 {
			s, r.spare = r.spare[n-1], r.spare[:n-1]
		} else {
			s = &[classes]secondRecord{{latency: newHistogram(secondDigits)}, {latency: newHistogram(secondDigits)}}
		}
		r.open[i] = s
	}
	for r.newest = max(r.newest, i); len(r.closed) < r.newest-r.lag; {
		next := len(r.closed)
		r.closed = append(r.closed, figures(r.start, next, r.open[next]))
		if old := r.open[next]; old != nil {
			delete(r.open, next)
			for c := range old {
				old[c].latency.Reset()
				old[c] = secondRecord{latency: old[c].latency}
			}
			r.spare = append(r.spare, old)
		}
	}
	return s
}

// figures sums up a second. nil is a second without arrivals.
func figures(start time.Time, i int, s *[classes]secondRecord) Second {
	out := Second{At: start.Add(time.Duration(i) * time.Second)}
	if s == nil {
		return out
	}
	for c, to := range []*SecondOf{&out.Reads, &out.Writes} {
		h := s[c].latency
		*to = SecondOf{Count: int(h.TotalCount()), Failed: s[c].failed, NotSent: s[c].notSent,
			P50: quantile(h, 50), P99: quantile(h, 99), Max: quantile(h, 100)}
	}
	return out
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	if h.TotalCount() == 0 {
		return 0
	}
	return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond
}
