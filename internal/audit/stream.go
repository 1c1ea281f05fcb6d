package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// errStandsStill means that lines wait for a stream that takes none: a reader that does not read, a disk that does not answer.
var errStandsStill = errors.New("the audit log stands still, or is closed")

// A job is one line to be written, or a stream to change to; or neither, which is done when everything before it is.
type job struct {
	line    *line
	durable bool       // whether a loss of power must leave the line there
	swap    *swap      // nil for none
	done    chan error // gets the outcome; has room for it
}

// A swap is a stream to change to, unless whoever asked for that has given up before.
type swap struct {
	to    io.WriteCloser
	taken atomic.Bool // by the one or the other
}

// A stream is where lines go.
type stream struct {
	out  io.WriteCloser
	torn bool // whether it ends within a line
}

// work does the jobs until the queue is closed, and then closes the stream.
func (l *Log) work(s *stream) {
	defer close(l.ended)
	for j := range l.queue {
		var err error
		switch {
		case j.swap != nil:
			if j.swap.taken.CompareAndSwap(false, true) {
				_ = s.out.Close()
				s.out, s.torn = j.swap.to, isTorn(j.swap.to)
			}
		case j.line != nil:
			err = l.put(s, j)
		}
		j.done <- err
	}
	_ = s.out.Close()
}

// put writes a line, which says how many are missing before it.
func (l *Log) put(s *stream, j job) error {
	l.mu.Lock()
	j.line.Lost = l.lost
	l.mu.Unlock()
	err := s.write(*j.line, j.durable)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.lose(err)
		l.leftOut += j.line.LeftOut // the next line tells
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if j.line.Lost > 0 {
		l.cfg.Log.Info("the audit log is written again", "lost", j.line.Lost)
	}
	l.lost -= j.line.Lost
	l.lines.WithLabelValues(written).Inc()
	return nil
}

// write writes a line. One that follows a line that was cut off begins on a new line.
func (s *stream) write(n line, durable bool) error {
	text, err := json.Marshal(n, jsontext.AllowInvalidUTF8(true)) // a caller can put anything into a user's name
	if err != nil {
		return err
	}
	if s.torn {
		text = append([]byte{'\n'}, text...)
	}
	count, err := s.out.Write(append(text, '\n'))
	if err != nil {
		s.torn = s.torn || count > 0
		return err
	}
	s.torn = false
	if syncer, ok := s.out.(interface{ Sync() error }); ok && durable {
		return syncer.Sync()
	}
	return nil
}

// isTorn reports whether what was just opened ends within a line: the disk was full, or the process was killed.
func isTorn(out io.WriteCloser) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := os.Stat(f.Name())
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	r, err := os.Open(f.Name()) // the stream itself is open for writing only
	if err != nil {
		return false
	}
	defer r.Close()
	last := make([]byte, 1)
	_, err = r.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}
