package load

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// sweepPause is the wait before a failed read is repeated.
const sweepPause = 200 * time.Millisecond

// A SweepReport is the result of reading every session back. The findings themselves are in the ledger's summary.
type SweepReport struct {
	Live       int // sessions that must be there
	Deleted    int // sessions that must not
	Violations int
	Unread     int // could not be read before the context ended
}

// Sweep reads back every session that must be there, and every one that must not. Requests that fail are repeated until
// the context ends. Call it when no load is running and every write has had time to take effect: a stale read then counts as lost.
func (g *Generator) Sweep(ctx context.Context) SweepReport {
	live, deleted := g.cfg.Ledger.Sweep(), g.cfg.Ledger.Deleted()
	keys := make(chan string)
	var violations, unread atomic.Int64
	var wg sync.WaitGroup
	for range prepareWorkers {
		wg.Go(func() {
			for key := range keys {
				switch verdict, ok := g.readBack(ctx, key); {
				case !ok:
					unread.Add(1)
				case verdict != ledger.OK:
					violations.Add(1)
				}
			}
		})
	}
	for _, list := range [][]string{live, deleted} {
		for _, key := range list {
			keys <- key
		}
	}
	close(keys)
	wg.Wait()
	return SweepReport{Live: len(live), Deleted: len(deleted), Violations: int(violations.Load()), Unread: int(unread.Load())}
}

func (g *Generator) readBack(ctx context.Context, key string) (ledger.Verdict, bool) {
	for ctx.Err() == nil {
		judge := g.cfg.Ledger.ReadBack(key)
		got := g.client.do(ctx, call{method: http.MethodGet, path: "/v1/sessions/" + key, query: "touch=false", header: g.headers.read})
		if verdict, outcome := judgeRead(judge, got); outcome == Answered {
			return verdict, true
		}
		sleepUntil(ctx, time.Now().Add(sweepPause))
	}
	return ledger.OK, false
}
