package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

var (
	measure = flag.Bool("measure", false, "measure the service beside other handlers")
	lasts   = flag.Duration("lasts", 3*time.Second, "how long one load lasts")
	rounds  = flag.Int("rounds", 3, "how often each load is measured")
	only    = flag.String("only", "", "kinds of calls to measure, separated by commas; all if empty")
	at      = flag.String("conns", "1,16,64,256", "numbers of connections")
	out     = flag.String("to", "", "file for the figures, as JSON")
	inside  = flag.String("profiles", "", "folder for CPU profiles of the service, one for each kind and number of connections")
)

func TestMain(m *testing.M) {
	flag.Parse()
	clustertest.Main(m)
}

const (
	sessions = 1000 // that reads and writes are spread over
	valueLen = 512
)

// A kind is a kind of call, and who is measured with it.
type kind struct {
	name    string
	targets []string // the one that the others are compared with comes first
	request func(w *world, x *target, conn, n int, id string) []byte
}

var kinds = []kind{
	{"read", []string{"bare", "webdis", "stock", "autopipeline", "sessiond"}, func(w *world, x *target, conn, n int, _ string) []byte {
		if x.name == "webdis" {
			return request("GET", "/GET/"+w.id(x, conn, n)+".txt", "", "", "", "")
		}
		return request("GET", "/v1/session", w.id(x, conn, n), "", "", "")
	}},
	{"replicated", []string{"stock", "autopipeline", "sessiond"}, replace("durability=replicated")},
	{"async", []string{"stock", "autopipeline", "sessiond"}, replace("durability=async")},
	{"patch", []string{"sessiond"}, func(w *world, x *target, conn, n int, _ string) []byte {
		return request("PATCH", "/v1/session", w.id(x, conn, n), "", "application/merge-patch+json", `{"data":{"n":`+fmt.Sprint(n)+`}}`)
	}},
	{"rotate", []string{"sessiond"}, func(w *world, x *target, conn, _ int, id string) []byte {
		if id != "" {
			w.own[conn] = id // an old ID would lead there only for a while
		}
		return request("POST", "/v1/session/rotate", w.own[conn], "", "", "")
	}},
	{"list10", []string{"sessiond"}, func(w *world, _ *target, conn, n int, _ string) []byte {
		return request("GET", fmt.Sprintf("/v1/users/user-%d/sessions", (conn*31+n)%users), "", "", "", "")
	}},
}

// replace is a write of the whole value.
func replace(prefer string) func(*world, *target, int, int, string) []byte {
	return func(w *world, x *target, conn, n int, _ string) []byte {
		return request("PUT", "/v1/session", w.id(x, conn, n), prefer, "application/json", w.body)
	}
}

const users = 100 // who have ten sessions each

// A world is what all kinds have in common.
type world struct {
	real    *clustertest.Real
	targets map[string]*target
	ids     []string // at the service
	keys    []string // at the others
	own     []string // a session for each connection, which is rotated
	body    string
}

func newWorld(t *testing.T) *world {
	real := clustertest.Shared(t)
	nodes := strings.Join(real.Access().Addrs, ",")
	w := &world{real: real, targets: map[string]*target{"sessiond": startService(t, real)}}
	for _, mode := range []string{"bare", "stock", "autopipeline"} {
		w.targets[mode] = startBaseline(t, mode, nodes)
	}
	value := strings.Repeat("x", valueLen)
	w.body = `{"data":{"v":"` + value + `"}}`
	service := w.targets["sessiond"]
	for i := range sessions {
		w.ids = append(w.ids, service.create(t, "", value))
		w.keys = append(w.keys, fmt.Sprintf("bench:%d", i))
	}
	for range 256 {
		w.own = append(w.own, service.create(t, "", value))
	}
	for u := range users {
		for range 10 {
			service.create(t, fmt.Sprintf("user-%d", u), value)
		}
	}
	// All answer a read with the same bytes. Writes have those of the value alone.
	same := service.read(t, w.ids[0])
	for _, mode := range []string{"bare", "stock", "autopipeline"} {
		run(t, w.targets[mode].addr, 1, time.Second, func(_, n int, _ string) []byte {
			return request("PUT", "/v1/session", w.keys[n%sessions], "", "application/json", same)
		})
	}
	if webdis := startWebdis(t); webdis != nil {
		webdis.fill(t, w.keys, same)
		w.targets["webdis"] = webdis
	}
	return w
}

// id is the session of a connection's n-th request.
func (w *world) id(x *target, conn, n int) string {
	i := (conn*7919 + n*31) % sessions
	if x.name == "sessiond" {
		return w.ids[i]
	}
	return w.keys[i]
}

// A row is what was measured of one target under one load: the medians of all rounds, and the ratio to the first target of each
// round.
type row struct {
	Kind        string     `json:"kind"`
	Connections int        `json:"connections"`
	Target      string     `json:"target"`
	PerSecond   float64    `json:"per_second"`
	Ratio       [3]float64 `json:"ratio"` // lowest, median, highest
	P50         float64    `json:"p50_ms"`
	P99         float64    `json:"p99_ms"`
	P999        float64    `json:"p999_ms"`
	ServiceCPU  float64    `json:"service_cpu_us"` // per request
	RedisCPU    float64    `json:"redis_cpu_us"`   // per request, of all nodes
}

// TestBench measures all kinds and prints a table.
func TestBench(t *testing.T) {
	if !*measure {
		t.Skip("no figures asked for: make bench")
	}
	w := newWorld(t)
	var rows []row
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "CALL\tCONNS\tTARGET\tREQ/S\tRATIO\tRANGE\tP50 ms\tP99\tP99.9\tCPU us\tREDIS us\t")
	for _, k := range kinds {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), k.name) {
			continue
		}
		for conns := range strings.SplitSeq(*at, ",") {
			var n int
			fmt.Sscan(conns, &n)
			for _, r := range w.compare(t, k, n) {
				rows = append(rows, r)
				fmt.Fprintf(table, "%s\t%d\t%s\t%.0f\t%.2f\t%.2f-%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t\n",
					r.Kind, r.Connections, r.Target, r.PerSecond, r.Ratio[1], r.Ratio[0], r.Ratio[2], r.P50, r.P99, r.P999, r.ServiceCPU, r.RedisCPU)
			}
		}
		table.Flush()
	}
	if *out != "" {
		text, _ := json.MarshalIndent(rows, "", "\t")
		if err := os.WriteFile(*out, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// compare measures the targets of a kind in turn, and in each round begins with another.
func (w *world) compare(t *testing.T, k kind, conns int) []row {
	t.Helper()
	seen := map[string][]figure{}
	k.targets = slices.DeleteFunc(slices.Clone(k.targets), func(name string) bool { return w.targets[name] == nil }) // webdis may be missing
	for round := range *rounds {
		for i := range k.targets {
			x := w.targets[k.targets[(i+round)%len(k.targets)]]
			seen[x.name] = append(seen[x.name], w.figure(t, k, x, conns))
		}
	}
	var rows []row
	for _, name := range k.targets {
		figures := seen[name]
		var ratios []float64
		for i, f := range figures {
			ratios = append(ratios, f.PerSecond/seen[k.targets[0]][i].PerSecond)
		}
		slices.Sort(ratios)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
		rows = append(rows, row{
			Kind: k.name, Connections: conns, Target: name,
			PerSecond:  median(figures, func(f figure) float64 { return f.PerSecond }),
			Ratio:      [3]float64{ratios[0], ratios[len(ratios)/2], ratios[len(ratios)-1]},
			P50:        median(figures, func(f figure) float64 { return ms(f.P50) }),
			P99:        median(figures, func(f figure) float64 { return ms(f.P99) }),
			P999:       median(figures, func(f figure) float64 { return ms(f.P999) }),
			ServiceCPU: median(figures, func(f figure) float64 { return us(f.ServiceCPU) }),
			RedisCPU:   median(figures, func(f figure) float64 { return us(f.RedisCPU) }),
		})
	}
	return rows
}

// figure measures one target once.
func (w *world) figure(t *testing.T, k kind, x *target, conns int) figure {
	t.Helper()
	if x.ops != "" && *inside != "" {
		defer x.profile(t, filepath.Join(*inside, fmt.Sprintf("%s-%d.pprof", k.name, conns)))() // the last round's stays
	}
	service, redis := x.cpu(t), w.real.CPU(t)
	f := run(t, x.addr, conns, *lasts, func(conn, n int, id string) []byte { return k.request(w, x, conn, n, id) })
	requests := time.Duration(f.PerSecond * lasts.Seconds())
	f.ServiceCPU, f.RedisCPU = (x.cpu(t)-service)/requests, (w.real.CPU(t)-redis)/requests
	return f
}

func median(figures []figure, of func(figure) float64) float64 {
	var values []float64
	for _, f := range figures {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
