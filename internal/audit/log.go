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
//
// One goroutine writes, so that nobody waits for long for a disk or for a reader: a log that stands still must neither take callers
// nor a takeover with it. What finds no room in the queue is lost, and counted.
type Log struct {
	cfg   Config
	users namer
	lines *prometheus.CounterVec // by outcome
	queue chan job
	ended chan struct{} // closed when the last job is done

	mu      sync.Mutex
	closed  bool  // guarded by mu
	leftOut int64 // refusals without a line since the last line; guarded by mu
	lost    int64 // lines that could not be written since the last one that was; guarded by mu
	quota   quota // guarded by mu
}

const (
	queueSize = 1024                  // lines that may wait to be written
	patience  = 2 * time.Second       // that a required act has with its line
	courtesy  = 50 * time.Millisecond // that everything else has, so that lines stand there before what comes after them
)

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
	l := &Log{cfg: cfg, users: newNamer(cfg.PlainUsers, cfg.Key), queue: make(chan job, queueSize), ended: make(chan struct{})}
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
	go l.work(&stream{out: out, torn: isTorn(out)})
	return l, nil
}

// Reopen opens the stream anew, for a file that was moved away. If that fails, or if the old stream stands still, lines go where they
// went.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	out, err := l.cfg.Open()
	if err != nil {
		return err
	}
	change := &swap{to: out}
	err = l.submit(job{swap: change}, patience)
	if err != nil && change.taken.CompareAndSwap(false, true) {
		return errors.Join(err, out.Close())
	}
	return nil
}

// Close writes what waits, and closes the stream. It does not wait for long for one that stands still.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	select {
	case <-l.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%w: %w", ErrUnavailable, errStandsStill)
	}
}

// write has a line written. With durable it returns only once a loss of power would leave the line there.
func (l *Log) write(n line, durable bool) error {
	n.User = l.users.name(n.User)
	wait := courtesy
	if durable {
		wait = patience
	}
	return l.submit(job{line: &n, durable: durable}, wait)
}

// submit queues a job and waits for it. It fails with ErrUnavailable if the job was not done in time; what is still queued then is
// done later.
func (l *Log) submit(j job, within time.Duration) error {
	j.done = make(chan error, 1)
	if err := l.enqueue(j); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-j.done:
		return err
	case <-timer.C:
		return fmt.Errorf("%w: %w", ErrUnavailable, errStandsStill)
	}
}

// enqueue stamps a line and queues it, both in one step, so that the lines are in the order of their times.
func (l *Log) enqueue(j job) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errStandsStill
	if !l.closed {
		if j.line != nil {
			j.line.Time, j.line.LeftOut = time.Now().UTC(), l.leftOut
		}
		select {
		case l.queue <- j:
			if j.line != nil {
				l.leftOut = 0
			}
			return nil
		default:
		}
	}
	if j.line != nil {
		l.lose(err)
	}
	return err
}

// lose counts a line as lost. It is called with mu held.
func (l *Log) lose(err error) {
	if l.lost == 0 {
		l.cfg.Log.Error("the audit log cannot be written", "error", err)
	}
	l.lost++
	l.lines.WithLabelValues(lost).Inc()
}
