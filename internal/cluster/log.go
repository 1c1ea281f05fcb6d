package cluster

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// logEvents logs the events of the timeline until the context ends and all are logged. It runs in a goroutine of its own,
// so that a log that blocks delays nothing else. It counts the events that it misses while the log blocks.
func (c *Client) logEvents(ctx context.Context) {
	defer close(c.logged)
	var last uint64
	for {
		events, more := c.watch.Events().Since(last)
		for _, ev := range events {
			if left := ev.ID - last - 1; left > 0 {
				c.cfg.Log.Warn("events are missing from the log: it was too slow", "events", left)
			}
			last = ev.ID
			c.logEvent(ev)
		}
		select {
		case <-more:
		case <-ctx.Done():
			if events, _ := c.watch.Events().Since(last); len(events) == 0 {
				return
			}
		}
	}
}

func (c *Client) logEvent(ev watch.Event) {
	level := slog.LevelInfo
	if ev.Type == watch.NodeSuspect || ev.Type == watch.NodeUp {
		level = slog.LevelDebug // a slow moment causes both
	}
	if ev.Type == watch.PromiseBroken {
		level = slog.LevelWarn
	}
	c.cfg.Log.LogAttrs(context.Background(), level, ev.Text, slog.String("event", string(ev.Type)), slog.String("node", ev.Node),
		slog.String("vm", ev.VM), slog.String("shard", ev.Shard))
}

// LogTo sends the messages of the Redis driver to log at debug level: whatever matters is returned as an error too. The
// driver has one logger for the whole process.
func LogTo(log *slog.Logger) { redis.SetLogger(driverLog{log}) }

type driverLog struct{ log *slog.Logger }

func (l driverLog) Printf(ctx context.Context, format string, v ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis driver", "message", fmt.Sprintf(format, v...))
	}
}
