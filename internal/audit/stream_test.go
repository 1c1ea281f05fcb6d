package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What was cut off when the disk was full, or the process was killed, does not swallow the first line after it.
func TestLineAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("{}\n{\"time\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := New(Config{Open: File(path, nil), Required: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Begin(Entry{Action: Walk}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if lines := strings.Split(string(text), "\n"); err != nil || len(lines) != 5 || lines[1] != `{"time":` || !strings.HasSuffix(lines[2], "}") {
		t.Errorf("got %q, %v", lines, err)
	}
}

// A stream that takes nothing holds nobody up but a required act, and that one not for long.
func TestStreamThatStandsStill(t *testing.T) {
	for _, required := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var readers []*io.PipeReader
			l, err := New(Config{Required: required, Open: func() (io.WriteCloser, error) {
				reader, writer := io.Pipe()
				readers = append(readers, reader)
				return writer, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = l.Begin(Entry{Action: Walk})
			if errors.Is(err, ErrUnavailable) != required {
				t.Errorf("required %v: got %v", required, err)
			}
			for n := range 2 * queueSize {
				l.Refuse(Entry{Key: fmt.Sprint(n)}, "forbidden")
			}
			if took := time.Since(began); took > patience+(queueSize+1)*courtesy {
				t.Errorf("required %v: it took %s", required, took)
			}
			if err := l.Reopen(); !errors.Is(err, ErrUnavailable) {
				t.Errorf("required %v: the stream was changed: %v", required, err)
			}
			synctest.Wait()
			if got := testutil.ToFloat64(l.lines.WithLabelValues("lost")); got < queueSize-2 || got > queueSize {
				t.Errorf("required %v: %v lines counted as lost", required, got)
			}
			readers[0].Close() // everything else is lost
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A stream that was not changed in time is not changed later: lines go on to the old one when it recovers.
func TestStreamThatRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var readers []*io.PipeReader
		l, err := New(Config{Open: func() (io.WriteCloser, error) {
			reader, writer := io.Pipe()
			readers = append(readers, reader)
			return writer, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		l.Refuse(Entry{Key: "before"}, "forbidden")
		if err := l.Reopen(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the stream was changed: %v", err)
		}
		lines := bufio.NewScanner(readers[0])
		read := func(key string) {
			t.Helper()
			if !lines.Scan() || !strings.Contains(lines.Text(), key) {
				t.Errorf("got %q, %v, want the line of %s", lines.Text(), lines.Err(), key)
			}
		}
		read("before")
		go l.Refuse(Entry{Key: "after"}, "forbidden")
		read("after")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
