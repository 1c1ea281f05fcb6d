package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However many handshakes fail, the log gets a few lines per second, which say how many are missing.
func TestServerLogIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(bytes.Buffer)
		l := &serverLog{log: slog.New(slog.NewTextHandler(out, nil))}
		lines := func(n int) string {
			out.Reset()
			for i := range n {
				fmt.Fprintf(l, "http: TLS handshake error %d\n", i)
			}
			return out.String()
		}
		if got := lines(100); strings.Count(got, "\n") != serverLines || strings.Contains(got, "omitted") {
			t.Errorf("got\n%s", got)
		}
		time.Sleep(time.Second) // by the clock of the bubble
		if got := lines(2); strings.Count(got, "\n") != 2 || strings.Count(got, "omitted=90") != 1 {
			t.Errorf("a second later: got\n%s", got)
		}
	})
}
