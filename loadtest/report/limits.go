package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits are flags. A limit that is not set is not checked.
type Limits struct {
	MaxFailedReads  Share `placeholder:"N|N%" help:"Most reads that may fail, as a number or a percentage."`
	MaxFailedWrites Share `placeholder:"N|N%" help:"Most writes that may fail, including those of unknown outcome."`
	MaxUnknown      Share `placeholder:"N|N%" help:"Most writes that may have an unknown outcome."`
	MaxNotSent      Share `placeholder:"N|N%" help:"Most arrivals that may go unsent."`
	MaxLost         Share `placeholder:"N" help:"Most sessions that may lose an acknowledged write."`
	MaxResurrected  Share `placeholder:"N" help:"Most sessions that may come back after being deleted."`
	MaxStale        Share `placeholder:"N" help:"Most sessions that may be read stale."`
	MaxEarlyExpired Share `placeholder:"N" help:"Most sessions that may be gone before their deadline."`
	MaxViolations   Share `placeholder:"N" help:"Most answers that no correct store may give: lost, resurrected, stale, early-expired, corrupt or duplicated."`
	MaxUnread       Share `placeholder:"N" help:"Most sessions that may be unreadable after the load."`
	MaxReadStall    Span  `placeholder:"TIME" help:"Longest time a shard may go without answering a read."`
	MaxWriteStall   Span  `placeholder:"TIME" help:"Longest time a shard may go without answering a write."`
	MaxReadP99      Span  `name:"max-read-p99" placeholder:"TIME" help:"Highest p99 latency of reads, from the intended start."`
	MaxWriteP99     Span  `name:"max-write-p99" placeholder:"TIME" help:"Highest p99 latency of writes, from the intended start."`
	MaxPromotion    Span  `placeholder:"TIME" help:"Longest time from a fault to the promotion of a replica."`
	MaxRecovery     Span  `placeholder:"TIME" help:"Longest time from a fault until nothing has failed, and every shard has answered, for three seconds."`
	MinPromotions   Share `placeholder:"N" help:"Fewest promotions that must be seen. Without any, the drill proved nothing."`
}

// A Check is a limit that was set, and the value it was compared with.
type Check struct {
	Name   string `json:"name"`
	Limit  string `json:"limit"`
	Value  string `json:"value"`
	Broken bool   `json:"broken"`
}

// Check compares the figures with the limits that are set.
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

// A Share is a limit on a number, or on a percentage of a whole. The zero value is no limit.
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

// A Span is a limit on a time. The zero value is no limit.
type Span struct {
	set   bool
	limit time.Duration
}

// UnmarshalText reads a duration, such as "1s" or "250ms".
func (s *Span) UnmarshalText(text []byte) error {
	limit, err := time.ParseDuration(string(text))
	if err == nil && limit < 0 {
		err = errors.New("must not be negative")
	}
	if err != nil {
		return fmt.Errorf("%q is not a duration: %w", text, err)
	}
	*s = Span{true, limit}
	return nil
}

func (s Span) String() string { return Millis(s.limit).String() }
