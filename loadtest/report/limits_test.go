package report

import (
	"testing"
	"time"
)

func TestParseLimits(t *testing.T) {
	for text, want := range map[string]Share{"0": {true, false, 0}, "12": {true, false, 12}, "0.1%": {true, true, 0.1}, "100%": {true, true, 100}, "0%": {true, true, 0}} {
		var got Share
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "-1", "1.5", "101%", "-1%", "few", "1 %", "NaN", "NaN%", "Inf", "1e99"} {
		var got Share
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted as %+v", text, got)
		}
	}
	for text, want := range map[string]Span{"1s": {true, time.Second}, "250ms": {true, 250 * time.Millisecond}, "0s": {true, 0}} {
		var got Span
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "-1s", "soon"} {
		var got Span
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted as %+v", text, got)
		}
	}
}

// Each limit is compared with its own figure. It holds at its value and is broken above it.
func TestCheck(t *testing.T) {
	count := func(limit string) (s Share) {
		if err := s.UnmarshalText([]byte(limit)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	span := func(limit time.Duration) Span { return Span{true, limit} }
	atLimit := Millis(time.Second)
	above := atLimit + 1
	for name, test := range map[string]struct {
		limits      Limits
		holds, fail Figures
	}{
		"max-failed-reads":  {Limits{MaxFailedReads: count("2")}, Figures{FailedReads: 2}, Figures{FailedReads: 3}},
		"max-failed-writes": {Limits{MaxFailedWrites: count("0.1%")}, Figures{FailedWrites: 1, Writes: 1000}, Figures{FailedWrites: 2, Writes: 1999}},
		"max-unknown":       {Limits{MaxUnknown: count("0")}, Figures{}, Figures{UnknownWrites: 1}},
		"max-not-sent":      {Limits{MaxNotSent: count("50%")}, Figures{NotSent: 5, Reads: 3, Writes: 2}, Figures{NotSent: 6, Reads: 3, Writes: 2}},
		"max-lost":          {Limits{MaxLost: count("0")}, Figures{Stale: 1}, Figures{Lost: 1}},
		"max-resurrected":   {Limits{MaxResurrected: count("0")}, Figures{Lost: 1}, Figures{Resurrected: 1}},
		"max-stale":         {Limits{MaxStale: count("0")}, Figures{Lost: 1}, Figures{Stale: 1}},
		"max-early-expired": {Limits{MaxEarlyExpired: count("0")}, Figures{Lost: 1}, Figures{EarlyExpired: 1}},
		"max-violations":    {Limits{MaxViolations: count("0")}, Figures{FailedReads: 1}, Figures{Violations: 1}},
		"max-unread":        {Limits{MaxUnread: count("0")}, Figures{Swept: 5}, Figures{Unread: 1}},
		"max-read-stall":    {Limits{MaxReadStall: span(time.Second)}, Figures{ReadStall: atLimit, WriteStall: above}, Figures{ReadStall: above}},
		"max-write-stall":   {Limits{MaxWriteStall: span(time.Second)}, Figures{WriteStall: atLimit, ReadStall: above}, Figures{WriteStall: above}},
		"max-read-p99":      {Limits{MaxReadP99: span(time.Second)}, Figures{ReadLatency: Latency{P99: atLimit, Max: above}}, Figures{ReadLatency: Latency{P99: above}}},
		"max-write-p99":     {Limits{MaxWriteP99: span(time.Second)}, Figures{WriteLatency: Latency{P99: atLimit, Max: above}}, Figures{WriteLatency: Latency{P99: above}}},
		"max-promotion":     {Limits{MaxPromotion: span(time.Second)}, Figures{Promotion: atLimit}, Figures{Promotion: above}},
		"max-recovery":      {Limits{MaxRecovery: span(time.Second)}, Figures{Recovery: atLimit}, Figures{Recovery: above}},
		"min-promotions":    {Limits{MinPromotions: count("1")}, Figures{Promotions: 1}, Figures{}},
	} {
		for want, figures := range map[bool]Figures{false: test.holds, true: test.fail} {
			checks := test.limits.Check(figures)
			if len(checks) != 1 || checks[0].Name != name || checks[0].Broken != want {
				t.Errorf("%s: got %+v, want broken %t", name, checks, want)
			}
		}
	}
	if checks := (Limits{}).Check(Figures{Lost: 1}); len(checks) != 0 {
		t.Errorf("limits that are not given are checked: %+v", checks)
	}
}
