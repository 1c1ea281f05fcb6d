package reread

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is made of two files that must have the same content.
func pair(t *testing.T) (v *Value[string], write func(name, text string), log *bytes.Buffer) {
	t.Helper()
	dir, log := t.TempDir(), new(bytes.Buffer)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write = func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name+".new"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "1")
	write("b", "1")
	v, err := New(slog.New(slog.NewTextHandler(log, nil)), func() (string, error) {
		inA, err := os.ReadFile(a)
		inB, errB := os.ReadFile(b)
		if err := errors.Join(err, errB); err != nil {
			return "", err
		}
		if !bytes.Equal(inA, inB) {
			return "", errors.New("the two do not match")
		}
		return string(inA), nil
	}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return v, write, log
}

// A change is seen within a second. While the files make no value, the old one stays, and the log has one line about that.
func TestValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, write, log := pair(t)
		steps := []struct {
			name   string
			change func()
			after  time.Duration
			want   string
			errors int
		}{
			{"nothing has changed", func() {}, interval, "1", 0},
			{"one of two is new", func() { write("a", "2") }, interval, "1", 1},
			{"it stays so", func() {}, interval, "1", 1},
			{"both are new", func() { write("b", "2") }, interval, "2", 1},
			{"both have changed just now", func() { write("a", "3"); write("b", "3") }, interval / 2, "2", 1},
			{"a little later", func() {}, interval / 2, "3", 1},
			{"broken again", func() { write("a", "4") }, interval, "3", 2},
		}
		for _, s := range steps {
			s.change()
			time.Sleep(s.after) // by the clock of the bubble
			if got := v.Get(); got != s.want {
				t.Errorf("%s: got %q, want %q", s.name, got, s.want)
			}
			if got := strings.Count(log.String(), "level=ERROR"); got != s.errors {
				t.Errorf("%s: %d errors logged, want %d", s.name, got, s.errors)
			}
		}
	})
}

func TestNoFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := New(slog.New(slog.DiscardHandler), func() ([]byte, error) { return os.ReadFile(missing) }, missing)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
