package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/scenario"
	"github.com/sessiond/sessiond/loadtest/servicetest"
)

// document has the parts of report.json that the tests check.
type document struct {
	Scenario    string
	Interrupted bool
	Notes       []string
	Findings    []string
	Figures     struct {
		Reads, Writes, Lost, Resurrected, Stale, Violations, Unread, Swept, Promotions int
		FailedReads                                                                    int     `json:"failed_reads"`
		FailedWrites                                                                   int     `json:"failed_writes"`
		Promotion                                                                      float64 `json:"promotion_ms"`
	}
	Checks []struct {
		Name   string
		Broken bool
	}
	Faults []struct {
		Name         string
		FailedWrites int      `json:"failed_writes"`
		Promoted     *float64 `json:"promoted_ms"`
	}
	Shards []struct {
		Shard    string
		WriteGap float64 `json:"write_gap_ms"`
	}
	Marks []struct {
		At   float64 `json:"at_ms"`
		Kind string
	}
	Options  []struct{ Name, Value string }
	Timeline []json.RawMessage
}

// runProgram runs the whole program, and returns its exit status, output and report.
func runProgram(t *testing.T, args ...string) (int, string, document) {
	t.Helper()
	dir := t.TempDir()
	var out bytes.Buffer
	code := run(t.Context(), append(args, "--out", dir), &out, &out)
	return code, out.String(), readDocument(t, dir, &out)
}

func readDocument(t *testing.T, dir string, out *bytes.Buffer) document {
	t.Helper()
	var doc document
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if os.IsNotExist(err) {
		return doc
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"report.html", "timeline.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	return doc
}

func serve(t *testing.T, h *servicetest.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// short returns the arguments of a load of 1.5 s that uses every session often.
func short(target string, more ...string) []string {
	return append([]string{"--target", target, "--rate", "300", "--duration", "1500ms", "--sessions", "40", "--users", "5",
		"--mix", "create=3,read=50,update=25,patch=10,delete=4,rotate=2,list=3"}, more...)
}

// A server that breaks a promise is caught by the report and the exit status. A good one passes.
func TestCatchesBrokenServers(t *testing.T) {
	at := func(op servicetest.Op, what servicetest.Fault) func(servicetest.Op, int) servicetest.Fault {
		return func(o servicetest.Op, n int) servicetest.Fault {
			if o == op && n%5 == 3 {
				return what
			}
			return servicetest.None
		}
	}
	for name, test := range map[string]struct {
		fault  func(servicetest.Op, int) servicetest.Fault
		limit  string // that is broken
		caught func(document) bool
	}{
		"a good one":             {at(servicetest.Read, servicetest.None), "", func(d document) bool { return d.Figures.Violations == 0 && len(d.Findings) == 0 }},
		"one that loses writes":  {at(servicetest.Update, servicetest.LoseWrite), "max-lost", func(d document) bool { return d.Figures.Lost > 0 }},
		"one that resurrects":    {at(servicetest.Delete, servicetest.KeepDeleted), "max-resurrected", func(d document) bool { return d.Figures.Resurrected > 0 }},
		"one that answers stale": {at(servicetest.Read, servicetest.AnswerStale), "max-stale", func(d document) bool { return d.Figures.Stale > 0 }},
		"one that fails reads":   {at(servicetest.Read, servicetest.Unavailable), "max-failed-reads", func(d document) bool { return d.Figures.FailedReads > 0 && d.Figures.Violations == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := servicetest.New()
			service.Fault(test.fault)
			url := serve(t, &servicetest.Handler{Service: service, Process: "p"})
			code, out, doc := runProgram(t, short(url, "--max-lost=0", "--max-resurrected=0", "--max-stale=0", "--max-failed-reads=0", "--max-unread=0", "--max-read-stall=1m")...)
			want := exitExceeded
			if test.limit == "" {
				want = exitFine
			}
			if code != want || !test.caught(doc) {
				t.Errorf("exit status %d, want %d; %+v\n%s", code, want, doc.Figures, out)
			}
			named := test.limit == ""
			for _, c := range doc.Checks {
				named = named || c.Name == test.limit && c.Broken
			}
			if !named || test.limit != "" && !strings.Contains(out, "BROKEN: --"+test.limit) {
				t.Errorf("the report does not name %s: %+v\n%s", test.limit, doc.Checks, out)
			}
			if doc.Figures.Reads == 0 || doc.Figures.Writes == 0 || doc.Figures.Swept == 0 || len(doc.Timeline) == 0 || len(doc.Shards) != 3 {
				t.Errorf("figures are missing: %+v", doc)
			}
		})
	}
}

// A fault is made by the given command and marked. The cluster's events and the effect on the load follow it.
func TestFaultIsMadeMarkedAndFollowed(t *testing.T) {
	t.Parallel()
	killed := filepath.Join(t.TempDir(), "killed")
	service := servicetest.New()
	h := &servicetest.Handler{Service: service, Process: "p"}
	const refused = 7
	var once sync.Once
	left := refused
	spared := 20                                                     // updates behind the kill: some were due before it, and would count there
	service.Fault(func(op servicetest.Op, _ int) servicetest.Fault { // one at a time: it holds the service's lock
		if _, err := os.Stat(killed); err != nil {
			return servicetest.None
		}
		once.Do(func() { h.Happen("promoted", "redis-5.vm1", "vm1", "5461", "master of shard 5461") })
		switch {
		case op == servicetest.Update && spared > 0:
			spared--
		case op == servicetest.Update && left > 0:
			left--
			return servicetest.Unavailable
		}
		return servicetest.None
	})
	url := serve(t, h)
	code, out, doc := runProgram(t, short(url, "--duration", "3s", "--fault", "300ms:kill:vm2", "--fault", "2500ms:start:vm2", "--fault-by", `case $1:$2 in kill:vm2) echo >`+killed+`;; esac`,
		"--max-failed-writes", "7", "--max-violations", "0", "--min-promotions", "1")...)
	if code != exitFine {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if doc.Figures.FailedWrites != refused || len(doc.Faults) != 2 || doc.Faults[0].FailedWrites != refused || doc.Faults[1].FailedWrites != 0 {
		t.Errorf("want %d failed writes after the kill: %+v", refused, doc)
	}
	if doc.Figures.Promotions != 1 || doc.Figures.Promotion <= 0 || doc.Faults[0].Promoted == nil || doc.Faults[1].Promoted != nil {
		t.Errorf("want one promotion: %+v", doc)
	}
	first := map[string]float64{}
	for _, m := range doc.Marks {
		if _, ok := first[m.Kind]; !ok {
			first[m.Kind] = m.At
		}
	}
	if len(first) != 4 || first["fault"] >= first["promotion"] || first["promotion"] >= first["recovery"] || first["fault"] >= first["mend"] {
		t.Errorf("marks: %+v", doc.Marks)
	}
	for _, want := range []string{"kill vm2", "promoted: master of shard 5461"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// If a fault could not be made, a good result proves nothing.
func TestFaultThatCannotBeMade(t *testing.T) {
	t.Parallel()
	url := serve(t, &servicetest.Handler{Service: servicetest.New()})
	code, out, doc := runProgram(t, short(url, "--fault", "100ms:kill:vm2", "--fault-by", "echo no such VM >&2; false", "--max-violations=0")...)
	if code != exitCannot || len(doc.Notes) != 1 || !strings.Contains(doc.Notes[0], "no such VM") {
		t.Errorf("exit status %d, notes %q\n%s", code, doc.Notes, out)
	}
}

// The control serves the same load.
func TestControl(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	code, out, doc := runProgram(t, short(redisStock, "--redis", redis.Addr(), "--max-violations=0", "--max-failed-reads=0", "--max-failed-writes=0")...)
	if code != exitFine || doc.Figures.Reads == 0 || doc.Figures.Writes == 0 || len(doc.Shards) != 1 {
		t.Errorf("exit status %d: %+v\n%s", code, doc, out)
	}
}

// Ctrl-C ends the load and still writes the whole report.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "loadtest")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	loading := make(chan struct{})
	service := servicetest.New()
	service.Fault(func(op servicetest.Op, n int) servicetest.Fault {
		if op == servicetest.Read && n == 100 {
			close(loading)
		}
		return servicetest.None
	})
	url := serve(t, &servicetest.Handler{Service: service})
	dir := t.TempDir()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, append(short(url), "--duration", "0", "--fault", "10h:kill:vm2", "--out", dir, "--max-violations=0")...)
	cmd.Env = append(os.Environ(), "LOADTEST_TOKEN=secret-key")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-loading:
	case <-time.After(time.Minute):
		t.Fatalf("no load\n%s", out.String())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	doc := readDocument(t, dir, &out)
	if !doc.Interrupted || doc.Figures.Reads < 100 || doc.Figures.Swept == 0 || doc.Figures.Unread > 0 {
		t.Errorf("got %+v\n%s", doc, out.String())
	}
	if len(doc.Notes) != 1 || !strings.Contains(doc.Notes[0], "10h0m0s:kill:vm2") {
		t.Errorf("notes %q, want the fault that was not made", doc.Notes)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("control codes without a terminal:\n%q", out.String())
	}
	for _, name := range []string{"report.json", "report.html"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || bytes.Contains(text, []byte("secret-key")) {
			t.Errorf("%s holds the API key, or cannot be read: %v", name, err)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--rate", "fast"}, {"--mix", "touch=1"}, {"--fault", "kill"}, {"--fault", "1s:explode:vm2"}, {"--fault", "2m:kill:vm2"},
		{"--target", redisStock}, {"--target", redisStock, "--redis", "a:1", "--target", "http://b"}, {"--max-lost", "few"}, {"--max-write-stall", "1"},
		{"--scenario", "no-such"}, {"--guarded", "2"}, {"--duration", "-1s"}, {"--durability", "most"}, {"stray"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), args, &out, &out); code != exitUsage || out.Len() == 0 {
			t.Errorf("%q: exit status %d\n%s", args, code, out.String())
		}
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if code, out, _ := runProgram(t, "--target", server.URL); code != exitCannot || !strings.Contains(out, "refused") {
		t.Errorf("exit status %d\n%s", code, out)
	}
}

// A run that ends before the load writes no report.
func TestEndedBeforeTheLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	url := serve(t, &servicetest.Handler{Service: servicetest.New()})
	if code := run(ctx, short(url, "--out", t.TempDir()), &out, &out); code != exitCannot {
		t.Errorf("exit status %d\n%s", code, out.String())
	}
}

// Every scenario is a valid command line, and sets limits.
func TestScenarios(t *testing.T) {
	for _, name := range scenario.Names() {
		var out bytes.Buffer
		c, err := parse([]string{"--scenario", name, "--rate", "7"}, &out, &out)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.name() != name || c.Rate != "7" || c.Zipf != 1.1 || c.MaxViolations.String() != "0" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	c, err := parse([]string{"--scenario", "vm-kill"}, os.Stdout, os.Stderr)
	if err != nil || len(c.Fault) != 2 || c.Fault[1].Name() != "start vm2" || c.Duration != time.Minute {
		t.Errorf("vm-kill: %+v, %v", c, err)
	}
	found := false
	for _, o := range c.options {
		found = found || o.Name == "fault" && o.Value == "[10s:kill:vm2 35s:start:vm2]"
	}
	if !found {
		t.Errorf("the options do not tell the faults: %+v", c.options)
	}
}

func TestTokenIsNoOption(t *testing.T) {
	c, err := parse([]string{"--token", "secret-key", "--rate", "7"}, os.Stdout, os.Stderr)
	if err != nil || c.Token != "secret-key" || len(c.options) == 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, o := range c.options {
		if strings.Contains(o.Value, "secret-key") {
			t.Errorf("option %s tells the API key", o.Name)
		}
	}
}

// The status line shows rate, p99, errors and phase.
func TestStatusText(t *testing.T) {
	p := load.Progress{Failed: 123456, Violations: 1234, InFlight: 4096}
	p.Latest.Reads.Count, p.Latest.Reads.P99 = 35123, 9876*time.Millisecond
	p.Latest.Writes.Count, p.Latest.Writes.P99 = 15123, 9999*time.Millisecond
	got := statusText(3599*time.Second, "kill vm2", p)
	if want := " 59m59s  50246/s  p99 r 9.876s w 9.999s  failed 123456  wrong 1234  in flight 4096"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "kill vm2") {
		t.Errorf("got %q", got)
	}
}
