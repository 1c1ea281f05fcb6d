package stock_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/stock"
)

// The control gives the load the same answers as the service. Without faults nothing is found wrong.
func TestServesTheLoad(t *testing.T) {
	redis := miniredis.RunT(t)
	g := newLoad(t, redis.Addr())
	if err := g.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.Run(t.Context())
	swept := g.Sweep(t.Context())
	report := g.Report()
	if report.Reads.Failed+report.Writes.Failed > 0 || report.Ledger.Total() > 0 {
		t.Errorf("without a fault:\n%s", report)
	}
	for _, op := range []load.Op{load.Create, load.Read, load.Update, load.Patch, load.Delete} {
		if report.Ops[op].Count == 0 {
			t.Errorf("no %s was made", op)
		}
	}
	if swept.Live == 0 || swept.Deleted == 0 || swept.Unread+swept.Violations > 0 {
		t.Errorf("the sweep found %+v", swept)
	}
}

// Data that Redis forgets is found lost. A control that is always right would hide this.
func TestForgetsWithRedis(t *testing.T) {
	redis := miniredis.RunT(t)
	g := newLoad(t, redis.Addr())
	if err := g.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	redis.FlushAll()
	if swept := g.Sweep(t.Context()); swept.Violations != 50 {
		t.Errorf("all 50 sessions are gone, and the sweep found %+v", swept)
	}
	if lost := g.Report().Ledger.Sessions[ledger.Lost]; lost != 50 {
		t.Errorf("the ledger found %d lost sessions, want 50", lost)
	}
}

func newLoad(t *testing.T, addr string) *load.Generator {
	t.Helper()
	handler := stock.New(stock.Config{Addrs: []string{addr}})
	t.Cleanup(func() { handler.Close() })
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	g, err := load.New(load.Config{
		Targets: []string{server.URL}, Rate: load.Constant(500), Duration: time.Second, Sessions: 50,
		Mix: load.Mix{Create: 2, Read: 10, Update: 4, Patch: 4, Delete: 2}, PayloadSizes: []int{16, 300},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}
