package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits are flags. A limit that is not given is not checked.
type Limits struct {
	MaxFailedReads  Share `placeholder:"N|N%" help:"Reads that may fail, a number or a share of all."`
	MaxFailedWrites Share `placeholder:"N|N%" help:"Writes that may fail, those of unknown outcome included."`
	MaxUnknown      Share `placeholder:"N|N%" help:"Writes that may have an unknown outcome."`
	MaxNotSent      Share `placeholder:"N|N%" help:"Arrivals that may go unsent."`
	MaxLost         Share `placeholder:"N" help:"Sessions of which an acknowledged write may be lost."`
	MaxResurrected  Share `placeholder:"N" help:"Sessions that may come back after their deletion."`
	MaxStale        Share `placeholder:"N" help:"Sessions that may be read stale."`
	MaxEarlyExpired Share `placeholder:"N" help:"Sessions that may be gone before their deadline."`
	MaxViolations   Share `placeholder:"N" help:"Answers that no correct store may give: all of these, corrupt and duplicated ones too."`
	MaxUnread       Share `placeholder:"N" help:"Sessions that may not be readable after the load."`
	MaxReadStall    Span  `placeholder:"TIME" help:"Longest time in which a shard may answer no read."`
	MaxWriteStall   Span  `placeholder:"TIME" help:"Longest time in which a shard may answer no write."`
	MaxReadP99      Span  `name:"max-read-p99" placeholder:"TIME" help:"99th percentile of reads, from the intended start."`
	MaxWriteP99     Span  `name:"max-write-p99" placeholder:"TIME" help:"99th percentile of writes, likewise."`
	MaxPromotion    Span  `placeholder:"TIME" help:"Longest time from a fault to the promotion of a replica."`
	MaxRecovery     Span  `placeholder:"TIME" help:"Longest time from a fault until nothing fails and every shard answers for three seconds."`
	MinPromotions   Share `placeholder:"N" help:"Promotions that must have been seen: without them, the drill was none."`
}

// A Check is a limit that was given, and what it was held against.
type Check struct {
	Name   string `json:"name"`
	Limit  string `json:"limit"`
	Value  string `json:"value"`
	Broken bool   `json:"broken"`
}

// Check holds the figures against the limits that are given.
func (l Limits) Check(f Figures) []Check {
	var checks []Check
	count := func(name string, limit Share, value, of int) {
		if limit.set {
			checks = append(checks, Check{name, limit.String(), strconv.Itoa(value), limit.broken(value, of)})
		}
	}
	span := func(name string, limit Span, value Millis) {
		if limit.set {
			checks = append(checks, Check{name, limit.String(), value.String(), value.Duration() > limit.limit})
		}
	}
	count("max-failed-reads", l.MaxFailedReads, f.FailedReads, f.Reads)
	count("max-failed-writes", l.MaxFailedWrites, f.FailedWrites, f.Writes)
	count("max-unknown", l.MaxUnknown, f.UnknownWrites, f.Writes)
	count("max-not-sent", l.MaxNotSent, f.NotSent, f.Reads+f.Writes+f.NotSent)
	count("max-lost", l.MaxLost, f.Lost, 0)
	count("max-resurrected", l.MaxResurrected, f.Resurrected, 0)
	count("max-stale", l.MaxStale, f.Stale, 0)
	count("max-early-expired", l.MaxEarlyExpired, f.EarlyExpired, 0)
	count("max-violations", l.MaxViolations, f.Violations, 0)
	count("max-unread", l.MaxUnread, f.Unread, f.Swept+f.Unread)
	span("max-read-stall", l.MaxReadStall, f.ReadStall)
	span("max-write-stall", l.MaxWriteStall, f.WriteStall)
	span("max-read-p99", l.MaxReadP99, f.ReadLatency.P99)
	span("max-write-p99", l.MaxWriteP99, f.WriteLatency.P99)
	span("max-promotion", l.MaxPromotion, f.Promotion)
	span("max-recovery", l.MaxRecovery, f.Recovery)
	if least := l.MinPromotions; least.set {
		checks = append(checks, Check{"min-promotions", least.String(), strconv.Itoa(f.Promotions), float64(f.Promotions) < least.limit})
	}
	return checks
}

// A Share is a limit by number, or by percentage of a whole. The zero value is none.
type Share struct {
	set, percent bool
	limit        float64
}

// UnmarshalText reads "0", "12" or "0.1%".
func (s *Share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	limit, err := strconv.ParseFloat(number, 64)
	if err != nil || !(limit >= 0 && limit <= 1e15) || percent && limit > 100 || !percent && limit != float64(int64(limit)) {
		return fmt.Errorf("%q is neither a number nor a percentage", text)
	}
	*s = Share{true, percent, limit}
	return nil
}

func (s Share) String() string {
	text := strconv.FormatFloat(s.limit, 'f', -1, 64)
	if s.percent {
		text += "%"
	}
	return text
}

func (s Share) broken(value, of int) bool {
	if s.percent {
		return float64(value)*100 > s.limit*float64(of)
	}
	return float64(value) > s.limit
}

// A Span is a limit in time. The zero value is none.
type Span struct {
	set   bool
	limit time.Duration
}

// UnmarshalText reads a duration, such as "1s" or "250ms".
func (s *Span) UnmarshalText(text []byte) error {
	limit, err := time.ParseDuration(string(text))
	if err == nil && limit < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		return fmt.Errorf("%q is no duration: %w", text, err)
	}
	*s = Span{true, limit}
	return nil
}

func (s Span) String() string { return Millis(s.limit).String() }
