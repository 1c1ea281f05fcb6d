package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/conns"
	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const metricsDoc = "../../docs/metrics.md"

// A catalogue is a registry that remembers which metrics are registered on it, even those without series.
type catalogue struct {
	*prometheus.Registry
	metrics []documented
}

type documented struct{ name, kind, help, labels string }

// shape parses the text of a description, which exposes its name, help and labels in no other way.
var shape = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "([^"]*)", (?:unit: "[^"]*", )?constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// MustRegister implements [prometheus.Registerer].
func (c *catalogue) MustRegister(collectors ...prometheus.Collector) {
	for _, collector := range collectors {
		c.add(collector)
		c.Registry.MustRegister(collector)
	}
}

func (c *catalogue) add(collector prometheus.Collector) {
	descriptions := make(chan *prometheus.Desc, 1000)
	collector.Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		m := shape.FindStringSubmatch(d.String())
		if m == nil {
			panic("cannot read " + d.String())
		}
		if !strings.HasPrefix(m[1], "sessiond_") {
			continue
		}
		kind := "gauge"
		switch collector.(type) {
		case *prometheus.HistogramVec:
			kind = "histogram"
		default:
			if strings.HasSuffix(m[1], "_total") { // GatherAndLint enforces this
				kind = "counter"
			}
		}
		c.metrics = append(c.metrics, documented{m[1], kind, m[2], labels(m[3], m[4])})
	}
}

// labels are the names of a description's constant labels, then of the others.
func labels(constant, variable string) string {
	names := strings.FieldsFunc(variable, func(r rune) bool { return r == ',' })
	for label := range strings.SplitSeq(constant, ",") {
		if name, _, ok := strings.Cut(label, "="); ok {
			names = slices.Insert(names, 0, name)
		}
	}
	return strings.Join(names, ", ")
}

// text is docs/metrics.md.
func (c *catalogue) text() []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

` + "`/metrics`" + ` exports these metrics. ` + "`make generate`" + ` writes this page from the code. The usual metrics of the Go runtime (` + "`go_*`" + `) and of the
process (` + "`process_*`" + `) are exported too, but not listed.

Units are seconds and bytes. Every histogram is both classic and native. To store the native ones, Prometheus needs
` + "`--enable-feature=native-histograms`" + `. To store the exemplars of HTTP requests, it needs ` + "`--enable-feature=exemplar-storage`" + `: they name the
trace of a request, or, if the request was slow, the ` + "`request_id`" + ` of its line in the log.

The number of series does not grow with the load. ` + "`route`" + ` is a pattern, ` + "`tenant`" + ` and ` + "`key`" + ` are those of the key file, ` + "`node`" + ` and ` + "`vm`" + ` are those of the
cluster, and ` + "`shard`" + ` is the lowest slot that the shard had when the instance first saw it. Metrics of nodes and shards show what the
exporting instance sees.

| name | type | labels | meaning |
|---|---|---|---|
`)
	slices.SortFunc(c.metrics, func(a, b documented) int { return strings.Compare(a.name, b.name) })
	for _, m := range c.metrics {
		labels := ""
		if m.labels != "" {
			labels = "`" + strings.ReplaceAll(m.labels, ", ", "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, m.help)
	}
	return b.Bytes()
}

// ringOf is a ring with one key, which expires.
func ringOf(t *testing.T) *keys.Ring {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, "a key", `"expires": "2100-01-01T00:00:00Z"`)
	ring, err := keys.Load(path, keys.Limits{Policy: sessiontest.Policy, MaxBody: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// docs/metrics.md lists every metric that the program registers. Names and help texts follow the linter's rules.
func TestMetricsAreDocumented(t *testing.T) {
	c := &catalogue{Registry: prometheus.NewRegistry()}
	c.MustRegister(thisBuild().metric())
	quiet := slog.New(slog.DiscardHandler)
	conns.NewGate("service", conns.Limits{}, c)
	client := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{"127.0.0.1:1"}}, Log: quiet, Metrics: c})
	t.Cleanup(func() { client.Close() })
	store := session.NewRedisStore(client, session.Options{Log: quiet, Metrics: c})
	t.Cleanup(func() { store.Close(context.Background()) })
	httpapi.New(httpapi.Config{Metrics: c})
	c.MustRegister(ringOf(t))
	if _, err := audit.New(audit.Config{Open: audit.File("-", io.Discard), Metrics: c}); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	want := c.text()
	if *update {
		if err := os.WriteFile(metricsDoc, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsDoc)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/metrics.md is not what the code registers: run make generate (%v)", err)
	}
}
