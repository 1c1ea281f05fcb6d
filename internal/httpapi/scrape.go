package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/sessiond/sessiond/internal/cluster"
)

// A scrape takes milliseconds of a core. Nobody needs a key for it, so all of them together get a small part of one core.
const (
	scrapesPerSecond = 20
	scrapePatience   = 500 * time.Millisecond // a caller who is refused at once would come again at once
	scrapeWrite      = time.Second            // for a caller to take the answer
)

// scrapes answers with the metrics, one caller at a time.
func (a *api) scrapes() http.Handler {
	turn, pace := semaphore.NewWeighted(1), rate.NewLimiter(scrapesPerSecond, scrapesPerSecond/4)
	metrics := promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{EnableOpenMetrics: true /* exemplars */})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapePatience)
		defer cancel()
		if turn.Acquire(ctx, 1) != nil {
			a.fail(w, r, cluster.ErrOverloaded)
			return
		}
		defer turn.Release(1)
		if pace.Wait(r.Context()) != nil {
			return // the caller has gone
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeWrite)) // not supported only in tests
		metrics.ServeHTTP(w, r)
	})
}
