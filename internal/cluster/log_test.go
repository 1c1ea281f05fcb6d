package cluster_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/polltest"
)

// A valve is a log whose reader has stopped reading until it is opened.
type valve struct {
	slog.Handler
	opened chan struct{}

	mu    sync.Mutex
	lines []string // guarded by mu
}

func (v *valve) Enabled(context.Context, slog.Level) bool { return true }

func (v *valve) Handle(_ context.Context, r slog.Record) error {
	<-v.opened
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines = append(v.lines, r.Message)
	return nil
}

func (v *valve) len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.lines)
}

// A log that blocks stops neither the watcher nor the timeline, and gets its lines in the end.
func TestBlockedLogStopsNobody(t *testing.T) {
	e := clustertest.StartEmbedded(t)
	log := &valve{Handler: slog.DiscardHandler, opened: make(chan struct{})}
	c := ready(t, e.Client(t, cluster.Config{Log: slog.New(log)}))
	e.SetError("LOADING it is not")
	polltest.Eventually(t, "the node is suspect", func() bool { return told(c, watch.NodeSuspect) > 0 })
	e.SetError("")
	polltest.Eventually(t, "the node is well", func() bool { return told(c, watch.NodeUp) > 0 })
	if _, err := c.Run(within(t, 10*time.Second), nil, put(), []string{"k"}, 1); err != nil {
		t.Error(err)
	}
	if n := log.len(); n != 0 {
		t.Errorf("%d lines were logged through the closed valve", n)
	}
	close(log.opened)
	told, _ := c.Events().Since(0)
	polltest.Eventually(t, "all events are logged", func() bool { return log.len() >= len(told) })
}
