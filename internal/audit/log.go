// Package audit writes down who did what: a JSON line before each act that somebody may have to answer for, one after it, and
// one for each call that was refused. docs/audit.md describes the lines. It knows nothing of HTTP and of Redis.
package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrUnavailable means that the line before an act could not be written, so the act must not happen.
var ErrUnavailable = errors.New("the audit log cannot be written")

// Config says where lines go and what they hold. Open must be set.
type Config struct {
	Open       func() (io.WriteCloser, error) // opens the stream of lines, see File
	Required   bool                           // whether an act without a line before it must not happen
	PlainUsers bool                           // whether lines name users, instead of a hash of their names
	Key        []byte                         // of that hash; nil for a random one
	Log        *slog.Logger                   // told when lines begin to be lost, and when they no longer are; nil for nobody
	Metrics    prometheus.Registerer          // nil leaves the counter unregistered
}

// A Log writes lines, in the order of their times. Its methods may be called concurrently, and on nil, which writes nothing
// and has nothing against any act.
type Log struct {
	cfg   Config
	users namer
	lines *prometheus.CounterVec // by outcome

	mu      sync.Mutex
	out     io.WriteCloser // guarded by mu
	torn    bool           // whether the last write ended within a line; guarded by mu
	lost    int64          // lines that could not be written since the last one that was; guarded by mu
	leftOut int64          // refusals without a line since the last line; guarded by mu
	quota   quota          // guarded by mu
}

// The values of the counter's label.
const (
	written = "written"
	lost    = "lost"
	leftOut = "left-out"
)

// New opens the log.
func New(cfg Config) (*Log, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	out, err := cfg.Open()
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, users: newNamer(cfg.PlainUsers, cfg.Key), out: out}
	l.lines = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sessiond_audit_lines_total",
		Help: "Lines for the audit log, by outcome: written, lost, or left-out, as only refusals are, of which there may be too many.",
	}, []string{"outcome"})
	for _, outcome := range []string{written, lost, leftOut} {
		l.lines.WithLabelValues(outcome)
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(l.lines)
	}
	return l, nil
}

// Reopen opens the stream anew, for a file that was moved away. If that fails, lines go where they went.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	out, err := l.cfg.Open()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.out
	l.out, l.torn = out, false
	return last.Close()
}

// Close closes the stream.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Close()
}

// write writes a line. With durable it returns only once a loss of power would leave the line there.
func (l *Log) write(n line, durable bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.Time, n.LeftOut, n.Lost = time.Now().UTC(), l.leftOut, l.lost
	n.User = l.users.name(n.User)
	err := l.put(n, durable)
	if err != nil {
		if l.lost == 0 {
			l.cfg.Log.Error("the audit log cannot be written", "error", err)
		}
		l.lost++
		l.lines.WithLabelValues(lost).Inc()
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if l.lost > 0 {
		l.cfg.Log.Info("the audit log is written again", "lost", l.lost)
	}
	l.lost, l.leftOut = 0, 0
	l.lines.WithLabelValues(written).Inc()
	return nil
}

// put is called with mu held. A line that follows one that was cut off begins on a new line.
func (l *Log) put(n line, durable bool) error {
	text, err := json.Marshal(n, jsontext.AllowInvalidUTF8(true)) // a caller can put anything into a user's name
	if err != nil {
		return err
	}
	if l.torn {
		text = append([]byte{'\n'}, text...)
	}
	count, err := l.out.Write(append(text, '\n'))
	if err != nil {
		l.torn = l.torn || count > 0
		return err
	}
	l.torn = false
	if s, ok := l.out.(interface{ Sync() error }); ok && durable {
		return s.Sync()
	}
	return nil
}
