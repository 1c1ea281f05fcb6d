package main

import (
	"bytes"
	"log/slog"
	"sync"
	"time"
)

// serverLines is how many lines per second the HTTP server itself may log. Each failed handshake is one, and whoever reaches the
// address can make them.
const serverLines = 10

// A serverLog writes what the HTTP server logs, up to a limit per second, and says how many lines it left out.
type serverLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  int64 // Unix time that written counts for; guarded by mu
	written int   // lines in that second; guarded by mu
	omitted int   // lines left out since the last line; guarded by mu
}

func (l *serverLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now().Unix(); now != l.second {
		l.second, l.written = now, 0
	}
	if l.written >= serverLines {
		l.omitted++
		return len(line), nil
	}
	var attrs []any
	if l.omitted > 0 {
		attrs = []any{"omitted", l.omitted}
	}
	l.written++
	l.omitted = 0
	l.log.Warn(string(bytes.TrimSpace(line)), attrs...)
	return len(line), nil
}
