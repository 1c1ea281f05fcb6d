package admin_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// stopAfter ends a context when a line is logged.
type stopAfter struct {
	slog.Handler
	line string
	stop context.CancelFunc
}

func (s stopAfter) Enabled(context.Context, slog.Level) bool { return true }

func (s stopAfter) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, s.line) {
		s.stop()
	}
	return nil
}

// A half-formed cluster is completed, and a complete one is left as it is.
func TestFormCompletesRealCluster(t *testing.T) {
	real := clustertest.StartUnformed(t)
	c := real.Admin(t)
	for _, line := range []string{"every slot has a master", "every node knows every other"} {
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Form(ctx, real.Shards(), slog.New(stopAfter{slog.DiscardHandler, line, cancel})); err == nil {
			t.Fatalf("forming was not stopped after %q", line)
		}
		cancel()
	}
	for range 2 {
		if err := c.Form(t.Context(), real.Shards(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	nodes, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var v view.View
	for _, n := range nodes {
		v.Nodes = append(v.Nodes, n.Node)
		if !n.Master && !n.LinkUp {
			t.Errorf("%s has no link to its master", n.Addr)
		}
	}
	if v.Covered() != view.Slots || len(nodes) != 6 || len(v.WithoutReplica()) > 0 || v.CheckPlacement() != nil {
		t.Errorf("got %+v", nodes)
	}
}
