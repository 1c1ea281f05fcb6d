package main

import (
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A finding on all nodes is one line, with the reason and the remedy below it.
func TestDoctorPrintsATable(t *testing.T) {
	r := doctor.Report{}
	for _, name := range []string{"redis-1.vm1", "redis-2.vm2"} {
		r.Nodes = append(r.Nodes, doctor.Node{Node: view.Node{Hostname: name}, Engine: "Redis 7.0.15"})
		r.Findings = append(r.Findings, doctor.Finding{
			Check: "eviction", Severity: doctor.Breaks, Node: name, Found: "it evicts", Promise: "sessions live", Why: "they go", Do: "set it",
		})
	}
	r.Findings = append(r.Findings, doctor.Finding{Check: "clock", Severity: doctor.Unknown, Node: "redis-2.vm2", Found: "no clock", Why: "w", Do: "d"})
	var out strings.Builder
	if err := printReport(&out, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	squeezed := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	var got []string
	for i, line := range lines {
		if strings.HasPrefix(line, "eviction") || strings.HasPrefix(line, "clock") {
			got = append(got, squeezed(line[:9])+"|"+squeezed(line[strings.Index(line, "  ")+2:])+"|"+squeezed(lines[i+1])+"|"+squeezed(lines[i+2]))
		}
	}
	if len(got) != 2 || !strings.Contains(got[0], "BROKEN all it evicts|why: they go|do: set it") || !strings.Contains(got[1], "unknown redis-2.vm2 no clock") {
		t.Errorf("got %q\n%s", got, out.String())
	}
	if !strings.Contains(out.String(), "2 nodes of Redis 7.0.15: 2 findings break a promise, 0 weaken one, 1 are unknown") {
		t.Errorf("got\n%s", out.String())
	}
	if n := strings.Count(out.String(), "holds"); n != len(doctor.Checks)-2 {
		t.Errorf("%d promises hold\n%s", n, out.String())
	}
}

// The bundle keeps every promise. A node that evicts breaks one, and the command fails.
func TestDoctorOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	examine := func(asJSON bool) (string, error) {
		var out syncBuffer
		cmd := doctorCmd{
			Redis: onCluster(t, real).Redis, RequestTimeout: 8 * time.Second, FailoverAssist: 500 * time.Millisecond, Timeout: 5 * time.Second, JSON: asJSON,
		}
		err := cmd.Run(t.Context(), console{out: &out})
		return out.String(), err
	}
	if out, err := examine(false); err != nil || strings.Count(out, " holds ") != len(doctor.Checks) {
		t.Errorf("the bundle: %v\n%s", err, out)
	}
	real.Do(t, "redis-2", "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	defer real.Do(t, "redis-2", "CONFIG", "SET", "maxmemory-policy", "noeviction")
	out, err := examine(false)
	if err == nil || !strings.Contains(out, "BROKEN") || !strings.Contains(out, "redis-2.vm2") {
		t.Errorf("a node evicts: %v\n%s", err, out)
	}
	if out, err := examine(true); err == nil || !strings.Contains(out, `"check": "eviction"`) {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}

// What a cluster does not tell is told on the command line, or by the environment.
func TestFlagsTellWhatTheClusterDoesNot(t *testing.T) {
	t.Setenv("SESSIOND_REDIS_NODE_TIMEOUT", "5s")
	given := parse(t, "--redis=a:1", "--vm-map", "redis-0.headless=a", "--vm-map=[::1]:6379=b").Redis
	t.Setenv("SESSIOND_VM_MAP", "10.0.0.1=a;10.0.0.2=b")
	fromEnv := parse(t, "--redis=a:1").Redis
	for _, c := range []struct {
		flags redisFlags
		want  map[string]string
	}{
		{given, map[string]string{"redis-0.headless": "a", "[::1]:6379": "b"}},
		{fromEnv, map[string]string{"10.0.0.1": "a", "10.0.0.2": "b"}},
	} {
		access, err := c.flags.access(t.Context(), slog.New(slog.DiscardHandler))
		if err != nil || !maps.Equal(access.VMs, c.want) || access.NodeTimeout != 5*time.Second {
			t.Errorf("got %v, %s, %v, want %v", access.VMs, access.NodeTimeout, err, c.want)
		}
	}
	for _, wrong := range []redisFlags{{VMMap: map[string]string{"a": ""}}, {VMMap: map[string]string{"": "a"}}, {RedisNodeTimeout: -1}} {
		wrong.AttemptTimeout, wrong.PoolSize = time.Second, 1
		if wrong.Validate() == nil {
			t.Errorf("%v, %s was accepted", wrong.VMMap, wrong.RedisNodeTimeout)
		}
	}
}
