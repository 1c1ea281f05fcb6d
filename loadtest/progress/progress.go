// Package progress tells how a run is getting on: one line that is rewritten on a terminal, plain lines elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	plainEvery = 5 * time.Second
	jitter     = 100 * time.Millisecond // of those who tell it every second
	// width keeps the line from wrapping, after which it could not be rewritten.
	width   = 79
	rewrite = "\r\x1b[K" // to the start of the line, and erase it
)

// A Line is safe for concurrent use.
type Line struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	shown bool      // on a terminal: the line is there; guarded by mu, as is all below
	last  time.Time // elsewhere: of the last status
}

// New makes a line for an output, which is a terminal or not.
func New(out io.Writer, terminal bool) *Line { return &Line{out: out, terminal: terminal} }

// IsTerminal reports whether an output is one.
func IsTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// Status shows where the run is. Elsewhere than on a terminal it is left out if one was written within 5 s.
func (l *Line) Status(now time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminal {
		if runes := []rune(text); len(runes) > width {
			text = string(runes[:width])
		}
		fmt.Fprint(l.out, rewrite, text)
		l.shown = true
		return
	}
	if !l.last.IsZero() && now.Sub(l.last) < plainEvery-jitter {
		return
	}
	l.last = now
	fmt.Fprintln(l.out, text)
}

// Say writes a line that stays.
func (l *Line) Say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	fmt.Fprintln(l.out, text)
}

// End erases the status.
func (l *Line) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
}

func (l *Line) erase() {
	if l.shown {
		fmt.Fprint(l.out, rewrite)
		l.shown = false
	}
}
