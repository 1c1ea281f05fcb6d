package faults

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

var (
	chosen  = flag.String("faults", "", "drills to run: names separated by commas, ci for those of CI, or all")
	rate    = flag.Float64("rate", 1000, "requests per second of each drill, half of them reads")
	kills   = flag.Int("kills", 20, "VMs that are killed one after the other for the table of figures")
	limits  = flag.Bool("limits", true, "fail when a figure of time is above its limit, too")
	figures = flag.Bool("figures", false, "print the table of figures")
	allCuts = flag.Bool("all-cuts", false, "cut every link in every way, not only so that each two values meet: takes an hour and a half")
	overTLS = flag.Bool("over-tls", false, "let the nodes speak nothing but TLS, with certificates for their host names")
	profile = flag.String("log-level", "warn", "of the instances, whose log is shown if the drill fails")
)

func TestMain(m *testing.M) {
	flag.Parse()
	clustertest.Main(m)
}

// A fault is one drill, by its name.
type fault struct {
	name string
	ci   bool // CI runs it
	run  func(t *testing.T)
}

var faults = []fault{
	{"power-cut", true, powerCut},
	{"processes-killed", true, processesKilled},
	{"paused", true, paused},
	{"isolated", false, isolated},
	{"planned-failover", true, plannedFailover},
	{"fast-restart", false, fastRestart},
	{"service-cut-off", false, serviceCutOff},
	{"minority", false, minority},
	{"link-cut", false, linkCut},
	{"link-cut-one-way", false, linkCutOneWay},
	{"link-cut-short", true, linkCutShort},
	{"link-cut-one-way-short", true, linkCutOneWayShort},
	{"link-flaps", false, linkFlaps},
	{"instance-cut", false, instanceCut},
	{"returns", true, returns},
	{"rolling-restart", false, rollingRestart},
	{"slots-moved", false, slotsMoved},
	{"fourth-shard", false, fourthShard},
	{"app-on-scs", false, appOnScs},
	{"start-with-dead-vm", false, startWithDeadVM},
	{"second-vm", false, secondVM},
	{"two-replicas", false, twoReplicas},
	{"replica-behind", false, replicaBehind},
	{"dead-for-long", false, deadForLong},
	{"foreign-cluster", false, foreignCluster},
	{"instance-stopped", true, instanceStopped},
	{"maxmemory", false, maxMemory},
}

// TestFaults runs the chosen drills. CI counts them.
func TestFaults(t *testing.T) {
	if *chosen == "" {
		t.Skip("no drills asked for: make test-faults runs them, or -faults=name,...")
	}
	names := strings.Split(*chosen, ",")
	for _, f := range faults {
		if slices.Contains(names, f.name) || slices.Contains(names, "all") || f.ci && slices.Contains(names, "ci") {
			t.Run(f.name, f.run)
		}
	}
	for _, name := range names {
		known := slices.ContainsFunc(faults, func(f fault) bool { return f.name == name })
		if !known && name != "all" && name != "ci" {
			t.Errorf("there is no drill %q", name)
		}
	}
}
