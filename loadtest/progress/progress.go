// Package progress shows how a run is going: one line that is rewritten on a terminal, or plain lines elsewhere.
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
	jitter     = 100 * time.Millisecond // of callers that report every second
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

// New makes a line on an output.
func New(out io.Writer, terminal bool) *Line { return &Line{out: out, terminal: terminal} }

// IsTerminal reports whether an output is a terminal.
func IsTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// Status shows where the run is. Without a terminal, it writes at most one line in 5 s.
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

// Say writes a permanent line.
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
