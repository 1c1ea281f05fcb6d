package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A disk keeps what is written to it, unless it fails. When it fails, it has taken half.
type disk struct {
	bytes.Buffer
	full   bool
	synced int   // bytes
	broken error // of Sync
}

func (d *disk) Write(b []byte) (int, error) {
	if d.full {
		n, _ := d.Buffer.Write(b[:len(b)/2])
		return n, errors.New("no space left")
	}
	return d.Buffer.Write(b)
}

func (d *disk) Sync() error {
	d.synced = d.Len()
	return d.broken
}

func (d *disk) Close() error { return nil }

// lines are those that can be read.
func (d *disk) lines(t *testing.T, l *Log) (lines []map[string]any) {
	t.Helper()
	settle(t, l)
	for text := range strings.Lines(d.String()) {
		var l map[string]any
		if json.Unmarshal([]byte(text), &l) == nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// logTo makes a log on a disk.
func logTo(t *testing.T, d *disk, cfg Config) *Log {
	t.Helper()
	cfg.Open = func() (io.WriteCloser, error) { return d, nil }
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// settle waits until everything that was told so far is written, or lost.
func settle(t *testing.T, l *Log) {
	t.Helper()
	if err := l.submit(job{}, patience); err != nil {
		t.Fatal(err)
	}
}

// wantLine asserts what a line holds beside its time and the act's name.
func wantLine(t *testing.T, got map[string]any, want string) {
	t.Helper()
	delete(got, "time")
	delete(got, "act")
	text, err := json.Marshal(got)
	if err != nil || string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestAnActHasTwoLines(t *testing.T) {
	d := new(disk)
	l := logTo(t, d, Config{PlainUsers: true})
	before := time.Now()
	act, err := l.Begin(Entry{Action: RevokeUser, By: Caller, Key: "web", Tenant: "shop", From: "10.0.0.1:99", RequestID: "r1", Call: "DELETE /x", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	lines := d.lines(t, l)
	if len(lines) != 1 {
		t.Fatalf("%d lines before the act ends", len(lines))
	}
	act.End(Done, "2 sessions")
	lines = d.lines(t, l)
	if len(lines) != 2 || lines[0]["act"] != lines[1]["act"] || lines[0]["act"] == "" {
		t.Fatalf("got %v", lines)
	}
	for _, line := range lines {
		at, err := time.Parse(time.RFC3339Nano, line["time"].(string))
		if err != nil || at.Before(before) || time.Since(at) < 0 || !strings.HasSuffix(line["time"].(string), "Z") {
			t.Errorf("time %v, %v", line["time"], err)
		}
	}
	const who = `"from":"10.0.0.1:99","key":"web",`
	wantLine(t, lines[0], `{"action":"revoke-user","by":"caller","call":"DELETE /x",`+who+`"request_id":"r1","step":"before","tenant":"shop","user":"alice"}`)
	wantLine(t, lines[1], `{"action":"revoke-user","by":"caller","call":"DELETE /x","detail":"2 sessions",`+who+`"outcome":"done","request_id":"r1","step":"after","tenant":"shop","user":"alice"}`)
}

// A required log that cannot be written keeps acts from happening; another one does not, and says what it lost.
func TestRequired(t *testing.T) {
	for _, required := range []bool{true, false} {
		d, said := new(disk), new(bytes.Buffer)
		registry := prometheus.NewRegistry()
		l := logTo(t, d, Config{Required: required, Log: slog.New(slog.NewTextHandler(said, nil)), Metrics: registry})
		d.full = true
		for range 3 {
			act, err := l.Begin(Entry{Action: Walk, By: Caller})
			if errors.Is(err, ErrUnavailable) != required {
				t.Errorf("required %v: got %v", required, err)
			}
			act.End(Done, "")
		}
		settle(t, l)
		d.full = false
		if _, err := l.Begin(Entry{Action: Walk, By: Caller}); err != nil {
			t.Fatal(err)
		}
		lines := d.lines(t, l)
		missing := map[bool]float64{true: 3, false: 6}[required]
		if len(lines) != 1 || lines[0]["lost"] != missing {
			t.Errorf("required %v: a torn line hides the next, or it does not say what is missing: %v", required, lines)
		}
		if n := strings.Count(said.String(), "cannot be written"); n != 1 || !strings.Contains(said.String(), "written again") {
			t.Errorf("required %v: %s", required, said)
		}
		if got := testutil.ToFloat64(l.lines.WithLabelValues("lost")); got != missing {
			t.Errorf("required %v: %v lines counted as lost", required, got)
		}
		if n, err := testutil.GatherAndCount(registry); n != 3 || err != nil {
			t.Errorf("%d series, %v", n, err)
		}
	}
}

// With a required log, the line before an act outlasts a loss of power.
func TestRequiredLinesAreSynced(t *testing.T) {
	d := new(disk)
	l := logTo(t, d, Config{Required: true})
	if _, err := l.Begin(Entry{Action: Walk}); err != nil || d.synced != d.Len() || d.synced == 0 {
		t.Errorf("%d of %d bytes are synced, %v", d.synced, d.Len(), err)
	}
	d.broken = errors.New("input/output error")
	if _, err := l.Begin(Entry{Action: Walk}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the disk cannot sync: got %v", err)
	}
}

// Whoever has no key cannot fill the disk, and hides neither acts nor what is refused to others.
func TestRefusalsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		l := logTo(t, d, Config{})
		time.Sleep(time.Minute - time.Duration(time.Now().UnixNano())%time.Minute) // to the start of one
		for range 10 * refusalsPerMinute {
			l.Refuse(Entry{By: Caller, From: "10.6.6.6:1"}, "unauthorized")
		}
		if n := len(d.lines(t, l)); n != refusalsPerMinute {
			t.Errorf("%d lines", n)
		}
		l.Refuse(Entry{By: Caller, Key: "web"}, "forbidden")
		l.Refuse(Entry{By: Caller}, "foreign-origin")
		for range 2 * refusalsPerMinute {
			if _, err := l.Begin(Entry{Action: Walk}); err != nil {
				t.Fatal(err)
			}
		}
		lines := d.lines(t, l)
		if len(lines) != 3*refusalsPerMinute+2 {
			t.Fatalf("%d lines", len(lines))
		}
		if next := lines[refusalsPerMinute]; next["key"] != "web" || next["left_out"] != 9.*refusalsPerMinute || lines[refusalsPerMinute+1]["left_out"] != nil {
			t.Errorf("the next lines are %v", lines[refusalsPerMinute:refusalsPerMinute+2])
		}
		if got := testutil.ToFloat64(l.lines.WithLabelValues("left-out")); got != 9*refusalsPerMinute {
			t.Errorf("%v counted as left out", got)
		}
		time.Sleep(time.Minute)
		l.Refuse(Entry{By: Caller}, "unauthorized")
		if n := len(d.lines(t, l)); n != 3*refusalsPerMinute+3 {
			t.Errorf("no line in the next minute")
		}
	})
}

func TestUsersAreHashed(t *testing.T) {
	named := func(cfg Config) any {
		d := new(disk)
		l := logTo(t, d, cfg)
		if _, err := l.Begin(Entry{User: "alice\xff\n\"}"}); err != nil || len(d.lines(t, l)) != 1 {
			t.Fatalf("%v: %s", err, d)
		}
		return d.lines(t, l)[0]["user"]
	}
	if got := named(Config{PlainUsers: true}); got != "alice\uFFFD\n\"}" {
		t.Errorf("plain: %q", got)
	}
	random := named(Config{})
	if len(random.(string)) != 64 || random == named(Config{}) {
		t.Errorf("without a key the hash is %v each time", random)
	}
	// RFC 4231, section 4.3.
	if got := newNamer(false, []byte("Jefe")).name("what do ya want for nothing?"); got != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("got %s", got)
	}
	if got := newNamer(false, nil).name(""); got != "" {
		t.Errorf("nobody became %s", got)
	}
}

// A file is appended to, and opened anew once it was moved.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open := func() *Log {
		l, err := New(Config{Open: File(path, nil), Required: true})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	count := func(path string) int {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	begin := func(l *Log) {
		if _, err := l.Begin(Entry{Action: Walk}); err != nil {
			t.Error(err)
		}
	}
	l := open()
	begin(l)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	l.Close()
	l = open()
	defer l.Close()
	begin(l)
	if n := count(path); n != 2 {
		t.Errorf("%d lines", n)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	begin(l)
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	begin(l)
	if old, fresh := count(path+".1"), count(path); old != 3 || fresh != 1 {
		t.Errorf("%d lines in the old file, %d in the new one", old, fresh)
	}
	if _, err := New(Config{Open: File(filepath.Join(path, "nowhere"), nil)}); err == nil {
		t.Error("a file that cannot be opened was accepted")
	}
}

func TestStandardOutput(t *testing.T) {
	stdout := new(bytes.Buffer)
	l, err := New(Config{Open: File("-", stdout), Required: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Refuse(Entry{By: Caller}, "unauthorized")
	if err := errors.Join(l.Reopen(), l.Close()); err != nil || !strings.HasSuffix(stdout.String(), `,"action":"refuse","by":"caller","outcome":"unauthorized"}`+"\n") {
		t.Errorf("got %s, %v", stdout, err)
	}
}

func TestLinesOfManyStayWhole(t *testing.T) {
	d := new(disk)
	l := logTo(t, d, Config{})
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			act, _ := l.Begin(Entry{Action: Walk})
			act.End(Done, "")
			l.Refuse(Entry{}, "forbidden")
		})
	}
	callers.Wait()
	if n := len(d.lines(t, l)); n != 150 {
		t.Errorf("%d whole lines", n)
	}
}

// Without an audit log nothing is written, and nothing is refused.
func TestNoLog(t *testing.T) {
	var l *Log
	act, err := l.Begin(Entry{Action: Walk})
	act.End(Done, "")
	act.EndWith(nil, "")
	l.Refuse(Entry{}, "forbidden")
	if err := errors.Join(err, l.Reopen(), l.Close()); err != nil {
		t.Error(err)
	}
}
