package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// A requestLog writes one line per request, up to a limit per second for those that failed or were slow, and up to another
// for the rest. At a low rate it shows every request, and at a high rate it costs next to nothing: an outage must not fill
// the disk as well.
type requestLog struct {
	log   *slog.Logger
	slow  time.Duration // a request that takes this long is one of those that matter
	limit int           // lines per second for the requests that do not; negative for no limit

	mu      sync.Mutex
	second  int64        // Unix time that written counts for; guarded by mu
	written map[bool]int // lines of those that matter, and of the others; guarded by mu
	omitted int64        // requests without a line since the last line; guarded by mu
}

// write logs a request, or counts it as omitted.
func (l *requestLog) write(r *http.Request, c *call, took time.Duration) {
	level := slog.LevelInfo
	if c.status >= 500 {
		level = slog.LevelError
	}
	ctx := r.Context()
	if !l.log.Enabled(ctx, level) {
		return
	}
	omitted, ok := l.admit(c.start.Add(took), c.status >= 500 || took >= l.slow)
	if !ok {
		return
	}
	l.log.LogAttrs(ctx, level, "request", attributes(ctx, r.Method, c, took, omitted)...)
}

// failureLines is how many lines per second there may be for requests that failed or were slow.
const failureLines = 100

// admit reports whether a line may be written now, and how many requests had none since the last line.
func (l *requestLog) admit(now time.Time, matters bool) (omitted int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := now.Unix(); second != l.second {
		l.second, l.written = second, map[bool]int{}
	}
	limit := l.limit
	if matters && limit >= 0 {
		limit = max(limit, failureLines)
	}
	if limit >= 0 && l.written[matters] >= limit {
		l.omitted++
		return 0, false
	}
	l.written[matters]++
	omitted, l.omitted = l.omitted, 0
	return omitted, true
}

func attributes(ctx context.Context, verb string, c *call, took time.Duration, omitted int64) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", c.requestID), slog.String("method", method(verb)), slog.String("route", c.route),
		slog.Int("status", c.status), slog.Int("bytes", c.bytes), slog.Duration("took", took),
	}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("key", c.key)
	add("tenant", c.tenant)
	add("session", c.handle)
	add("problem", c.problem)
	if c.err != nil && c.status >= 500 {
		add("error", c.err.Error())
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		add("trace_id", span.TraceID().String())
	}
	if omitted > 0 {
		attrs = append(attrs, slog.Int64("omitted", omitted)) // requests without a line since the last line
	}
	return attrs
}
