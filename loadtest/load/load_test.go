package load

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/servicetest"
)

var wholeMix = Mix{Create: 3, Read: 50, Update: 25, Patch: 10, Delete: 2, Rotate: 2, List: 3}

func healthy(servicetest.Op, int) servicetest.Fault { return servicetest.None }

// run puts a load on an in-memory service in a synctest bubble.
func run(t *testing.T, faults func(servicetest.Op, int) servicetest.Fault, change func(*Config)) (report Report, swept SweepReport, f *servicetest.Service) {
	t.Helper()
	f = servicetest.New()
	cfg := Config{Targets: []string{"http://fake"}, Transport: f, Rate: Constant(200), Duration: 20 * time.Second, Sessions: 60,
		Users: 5, SessionsPerUser: 4, Mix: wholeMix, Guarded: 0.5, Revisit: 0.1, Seed: 1}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Heal()
	if err := g.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Fault(faults)
	g.Run(t.Context())
	f.Heal()
	synctest.Wait()
	time.Sleep(3 * time.Second) // lingering writes have taken effect by now
	swept = g.Sweep(t.Context())
	return g.Report(), swept, f
}

// Every kind of wrong answer is found and gets the right verdict. What a correct service may do is not a finding.
func TestFindsFaults(t *testing.T) {
	at := func(op servicetest.Op, what servicetest.Fault) func(servicetest.Op, int) servicetest.Fault {
		return func(o servicetest.Op, n int) servicetest.Fault {
			if o == op && n%20 == 19 {
				return what
			}
			return servicetest.None
		}
	}
	for name, test := range map[string]struct {
		fault func(servicetest.Op, int) servicetest.Fault
		want  []ledger.Verdict // any of them, and no other
	}{
		"nothing":                       {at(servicetest.Read, servicetest.None), nil},
		"a lost replacement":            {at(servicetest.Update, servicetest.LoseWrite), []ledger.Verdict{ledger.Stale, ledger.Lost}},
		"a lost patch":                  {at(servicetest.Patch, servicetest.LoseWrite), []ledger.Verdict{ledger.Stale, ledger.Lost}},
		"a replacement that is undone":  {at(servicetest.Update, servicetest.UndoWrite), []ledger.Verdict{ledger.Stale, ledger.Lost}},
		"a session that will not die":   {at(servicetest.Delete, servicetest.KeepDeleted), []ledger.Verdict{ledger.Resurrected}},
		"a stale read":                  {at(servicetest.Read, servicetest.AnswerStale), []ledger.Verdict{ledger.Stale}},
		"a lost session":                {at(servicetest.Read, servicetest.ForgetSession), []ledger.Verdict{ledger.Lost}},
		"a list without a session":      {at(servicetest.List, servicetest.ForgetSession), []ledger.Verdict{ledger.Lost}},
		"late lists":                    {at(servicetest.List, servicetest.Late), nil},
		"a damaged payload":             {at(servicetest.Read, servicetest.SpoilContent), []ledger.Verdict{ledger.Corrupt}},
		"a write applied twice":         {at(servicetest.Update, servicetest.ApplyTwice), []ledger.Verdict{ledger.Duplicated}},
		"a refused write that is there": {at(servicetest.Update, servicetest.LiesUnavailable), []ledger.Verdict{ledger.Corrupt, ledger.Lost, ledger.Duplicated}},
		"late answers":                  {at(servicetest.Update, servicetest.Late), nil},
		"late reads":                    {at(servicetest.Read, servicetest.Late), nil},
		"unknown, applied":              {at(servicetest.Update, servicetest.UnknownApplied), nil},
		"unknown, dropped":              {at(servicetest.Update, servicetest.UnknownDropped), nil},
		"unknown, applied later":        {at(servicetest.Update, servicetest.UnknownLinger), nil},
		"unknown patch, later":          {at(servicetest.Patch, servicetest.UnknownLinger), nil},
		"unknown deletion, applied":     {at(servicetest.Delete, servicetest.UnknownApplied), nil},
		"unknown deletion, dropped":     {at(servicetest.Delete, servicetest.UnknownDropped), nil},
		"unknown deletion, later":       {at(servicetest.Delete, servicetest.UnknownLinger), nil},
		"unknown rotation, applied":     {at(servicetest.Rotate, servicetest.UnknownApplied), nil},
		"unknown rotation, dropped":     {at(servicetest.Rotate, servicetest.UnknownDropped), nil},
		"unknown create":                {at(servicetest.Create, servicetest.UnknownApplied), nil},
		"refused":                       {at(servicetest.Update, servicetest.Unavailable), nil},
		"no answer":                     {at(servicetest.Update, servicetest.Hang), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				report, swept, _ := run(t, test.fault, nil)
				wanted := uint64(0)
				for _, v := range test.want {
					wanted += report.Ledger.Violations[v]
				}
				if len(test.want) > 0 && wanted == 0 || report.Ledger.Total() != wanted {
					t.Errorf("want %v:\n%s", test.want, report)
				}
				if swept.Live == 0 || swept.Deleted == 0 || swept.Unread > 0 {
					t.Errorf("swept %+v", swept)
				}
			})
		})
	}
}

// Failed requests are counted by reason. An absence that the ledger accounts for is not a failure.
func TestCountsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report, _, _ := run(t, func(op servicetest.Op, n int) servicetest.Fault {
			switch {
			case op == servicetest.Update && n%10 == 0:
				return servicetest.UnknownApplied
			case op == servicetest.Read && n%100 == 0:
				return servicetest.Hang
			}
			return servicetest.None
		}, nil)
		updates, reads := report.Ops[Update], report.Ops[Read]
		if updates.Failed != updates.Outcomes[Unknown] || updates.Failed != updates.Count/10 {
			t.Errorf("%d of %d updates failed, %d of them unknown; want every tenth", updates.Failed, updates.Count, updates.Outcomes[Unknown])
		}
		if reads.Failed != reads.Count/100 {
			t.Errorf("%d of %d reads failed, want every hundredth", reads.Failed, reads.Count)
		}
		for _, want := range []string{"503 urn:sessiond:outcome-unknown", "timeout"} {
			found := false
			for _, f := range report.Failures {
				found = found || f.Reason == want && f.Count > 0 && len(f.Examples) == examplesKept
			}
			if !found {
				t.Errorf("no failure %q in %+v", want, report.Failures)
			}
		}
		if longest := report.LongestRead.Latency.Latency(); longest != 10*time.Second {
			t.Errorf("the longest read took %s, want its timeout of 10 s", longest)
		}
	})
}

// The load goes on while answers are late. The figures of each second are those of its arrivals.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		report, _, f := run(t, func(servicetest.Op, int) servicetest.Fault {
			if s := time.Since(start); s >= 5*time.Second && s < 6*time.Second {
				return servicetest.Late
			}
			return servicetest.None
		}, func(c *Config) { c.Sessions = 2000 })
		for i := range 20 {
			if n := f.Rate(i); n < 199 || n > 201 {
				t.Errorf("%d requests in second %d, want 200", n, i)
			}
		}
		if len(report.Timeline) != 20 {
			t.Fatalf("a timeline of %d seconds, want 20", len(report.Timeline))
		}
		for i, s := range report.Timeline {
			lateNow := i == 5
			if slow := s.Writes.P99 > 990*time.Millisecond && s.Reads.P99 > 990*time.Millisecond; slow != lateNow {
				t.Errorf("second %d: p99 %s for reads, %s for writes", i, s.Reads.P99, s.Writes.P99)
			}
			if n := s.Reads.Count + s.Writes.Count + s.Reads.NotSent + s.Writes.NotSent; n < 199 || n > 201 {
				t.Errorf("second %d accounts for %d arrivals", i, n)
			}
		}
	})
}

// Arrivals that cannot be sent are counted.
func TestBoundInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report, _, _ := run(t, func(op servicetest.Op, _ int) servicetest.Fault { return servicetest.Hang }, func(c *Config) {
			c.MaxInFlight, c.Mix, c.Timeout, c.Duration = 10, Mix{Read: 1}, 15*time.Second, 10*time.Second
		})
		if report.Reads.Count != 10 {
			t.Errorf("%d requests were sent, want 10", report.Reads.Count)
		}
		if total := report.Reads.Count + report.NotSentInFlight; total < 1999 || total > 2000 {
			t.Errorf("%d arrivals are accounted for, want 2000", total)
		}
	})
}

func TestUsersStayWithinTheirSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, f := run(t, healthy, func(c *Config) { c.Mix.Create, c.Mix.Delete = 10, 3 })
		if f.MostOfOneUser() == 0 || f.MostOfOneUser() > 4 {
			t.Errorf("a user had %d sessions, want no more than 4", f.MostOfOneUser())
		}
	})
}

func TestObservesEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen atomic.Int64
		var mu sync.Mutex
		var wrong []Result
		report, _, _ := run(t, healthy, func(c *Config) {
			c.Observe = func(r Result) {
				seen.Add(1)
				if r.Sent.Before(r.Intended) || r.Done.Before(r.Sent) || r.Op == Update && !strings.Contains(r.PreferenceApplied, "durability=replicated") ||
					r.Key != "" && r.Slot != Slot(r.Key) {
					mu.Lock()
					wrong = append(wrong, r)
					mu.Unlock()
				}
			}
		})
		if n := report.Reads.Count + report.Writes.Count; int(seen.Load()) != n || n == 0 {
			t.Errorf("%d of %d requests were observed", seen.Load(), n)
		}
		if len(wrong) > 0 {
			t.Errorf("wrong: %+v", wrong[0])
		}
	})
}

// refuser refuses connections to one host.
type refuser struct {
	http.RoundTripper
	host string
	err  error
}

func (r refuser) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == r.host {
		return nil, r.err
	}
	return r.RoundTripper.RoundTrip(req)
}

func TestRedials(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for name, test := range map[string]struct {
		err      error
		noRedial bool
		outcome  Outcome
	}{
		"refused":                       {refused, false, Acknowledged},
		"refused, and no redials":       {refused, true, Refused},
		"connection lost after sending": {reset, false, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := servicetest.New()
				cfg := Config{Targets: []string{"http://a", "http://b"}, Rate: Constant(100), Duration: 10 * time.Second, Mix: Mix{Update: 1}, Sessions: 100, NoRedial: test.noRedial}
				cfg.Transport = f
				g, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := g.Prepare(t.Context()); err != nil {
					t.Fatal(err)
				}
				g.client.transport = refuser{f, "a", test.err}
				g.Run(t.Context())
				report := g.Report()
				switch test.outcome {
				case Acknowledged:
					if report.Writes.Failed > 0 || report.Redials == 0 {
						t.Errorf("no write fails, and redials are counted:\n%s", report)
					}
				default:
					if n := report.Writes.Outcomes[test.outcome]; n == 0 || n != report.Writes.Failed || report.Redials > 0 {
						t.Errorf("every failed write is %s, with no redial:\n%s", test.outcome, report)
					}
				}
			})
		})
	}
}

func TestPrepareGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := servicetest.New()
		f.Fault(func(servicetest.Op, int) servicetest.Fault { return servicetest.Unavailable })
		g, err := New(Config{Targets: []string{"http://fake"}, Transport: f, Rate: Constant(1), Mix: Mix{Read: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "unavailable") {
			t.Errorf("got %v, want the reason", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Prepare(ctx); !errors.Is(err, context.Canceled) && err == nil {
			t.Errorf("got %v from a context that is over", err)
		}
	})
}

func TestConfigRefused(t *testing.T) {
	good := Config{Targets: []string{"http://x"}, Rate: Constant(1), Mix: Mix{Read: 1}}
	for name, change := range map[string]func(*Config){
		"no target":            func(c *Config) { c.Targets = nil },
		"a target without URL": func(c *Config) { c.Targets = []string{"127.0.0.1:80"} },
		"no rate":              func(c *Config) { c.Rate = nil },
		"no mix":               func(c *Config) { c.Mix = Mix{} },
		"a negative weight":    func(c *Config) { c.Mix.Read = -1 },
		"a list without users": func(c *Config) { c.Mix.List = 1 },
		"too many users":       func(c *Config) { c.Users, c.Sessions = 10, 9 },
		"a flat Zipf":          func(c *Config) { c.Zipf = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := New(c); err == nil {
				t.Error("was accepted")
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
