package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// onCluster is the configuration of an instance on a real cluster.
func onCluster(t *testing.T, real *clustertest.Real) serveCmd {
	t.Helper()
	cfg := parse(t, "--redis", strings.Join(real.Config().Addrs, ","))
	cfg.Redis.dial, cfg.Redis.RedisUsername, cfg.Redis.RedisPassword = real.Config().Dial, real.Access().Username, real.Access().Password
	return cfg
}

// asOperator is how the cluster commands reach a real cluster.
func asOperator(t *testing.T, real *clustertest.Real) redisFlags {
	t.Helper()
	flags := onCluster(t, real).Redis
	flags.RedisUsername = real.Operator().Username
	return flags
}

// Two instances on one cluster: each reads what the other stores, whichever shard holds it.
func TestTwoInstancesOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	first, log := serve(t, onCluster(t, real))
	second, _ := serve(t, onCluster(t, real))
	for i := range 30 {
		status, header, body := call(t, "POST", first+"/v1/sessions", fmt.Sprintf(`{"user":"user-%d","data":%d}`, i, i))
		if status != http.StatusCreated {
			t.Fatalf("got %d %s", status, body)
		}
		id := header.Get("Session-ID")
		if status, _, body := call(t, "GET", second+"/v1/sessions/"+id, ""); status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"data":%d`, i)) {
			t.Errorf("got %d %s", status, body)
		}
		if strings.Contains(log.String(), id) {
			t.Error("the ID is in the log")
		}
	}
	if status, _, body := call(t, "GET", first+"/readyz?verbose", ""); status != http.StatusOK || strings.Count(body, `"replica"`) != 3 {
		t.Errorf("got %d %s", status, body)
	}
}

// A VM is killed: the sessions of its master are there once Redis has promoted the replica, and writes go on. It comes
// back as a replica.
func TestVMKillOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	url, _ := serve(t, onCluster(t, real))
	var ids []string
	for range 12 { // every shard gets some
		status, header, body := call(t, "POST", url+"/v1/sessions", `{"data":{"n":1}}`)
		if status != http.StatusCreated {
			t.Fatalf("got %d %s", status, body)
		}
		ids = append(ids, header.Get("Session-ID"))
	}

	_, _, body := call(t, "GET", url+"/v1/sessions?limit=1", "")
	cursor := regexp.MustCompile(`"next_cursor":"([^"]+)"`).FindStringSubmatch(body)
	if cursor == nil {
		t.Fatalf("no cursor in %s", body)
	}

	real.KillVM(t, "vm2")
	for _, id := range ids {
		polltest.Eventually(t, "the session is read", func() bool {
			status, _, body := call(t, "GET", url+"/v1/sessions/"+id, "")
			if status == http.StatusNotFound {
				t.Fatal("the session is lost")
			}
			return status == http.StatusOK && strings.Contains(body, `{"n":1}`)
		})
		polltest.Eventually(t, "the session is written", func() bool {
			status, _, _ := call(t, "PATCH", url+"/v1/sessions/"+id, `{"data":{"n":2}}`, "Content-Type", "application/merge-patch+json")
			return status == http.StatusOK
		})
	}
	polltest.Eventually(t, "the service is ready", func() bool {
		status, _, _ := call(t, "GET", url+"/readyz", "")
		return status == http.StatusOK
	})

	// A walk that began before the failover says so instead of missing sessions.
	if status, _, body := call(t, "GET", url+"/v1/sessions?limit=1&cursor="+cursor[1], ""); status != http.StatusGone || !strings.Contains(body, "cursor-expired") {
		t.Errorf("got %d %s", status, body)
	}

	real.StartVM(t, "vm2")
	client := real.Admin(t)
	polltest.Eventually(t, "both nodes of the VM are replicas in step", func() bool {
		nodes, err := client.Status(t.Context())
		if err != nil {
			return false
		}
		inStep := 0
		for _, n := range nodes {
			if n.VM() == "vm2" && !n.Master && n.LinkUp && n.Health == view.Healthy {
				inStep++
			}
		}
		return inStep == 2
	})
	for _, id := range ids {
		if status, _, body := call(t, "GET", url+"/v1/sessions/"+id, ""); status != http.StatusOK || !strings.Contains(body, `{"n":2}`) {
			t.Errorf("got %d %s", status, body)
		}
	}
}

// cluster init may be run again at any time, and cluster status shows what is there.
func TestClusterCommandsOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	var out, log syncBuffer
	init := initCmd{Timeout: 30e9}
	init.Redis = asOperator(t, real)
	for _, s := range real.Shards() {
		init.Shard = append(init.Shard, s.Master+","+strings.Join(s.Replicas, ","))
	}
	if err := init.Run(t.Context(), console{&out, &log}); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	status := statusCmd{Redis: asOperator(t, real), Timeout: 5e9}
	if err := status.Run(t.Context(), console{&out, &log}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "master") != 6 || strings.Count(got, "replica") != 6 || strings.Count(got, "16384 of 16384") != 2 {
		t.Errorf("got\n%s", got)
	}
}

// After a VM was killed and has returned, its master is elsewhere. cluster status shows it. cluster rebalance refuses to do
// anything while the VM is down, and brings the master back once it is up.
func TestRebalanceOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	client := real.Admin(t)
	witness := real.Poll(t)
	redis := asOperator(t, real)
	try := func(dryRun bool) (out string, err error) {
		var stdout, stderr syncBuffer
		rebalance := rebalanceCmd{Redis: redis, DryRun: dryRun, Timeout: time.Minute}
		err = rebalance.Run(t.Context(), console{&stdout, &stderr})
		return stdout.String(), err
	}
	masters := func() map[string]int {
		view, err := client.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return view.MastersByVM()
	}
	even := map[string]int{"vm1": 1, "vm2": 1, "vm3": 1}

	if out, err := try(false); err != nil || !strings.Contains(out, "nothing to do") {
		t.Errorf("one master on each VM: %v\n%s", err, out)
	}
	real.KillVM(t, "vm2")
	witness.Promoted(t, "redis-5", time.Now())
	polltest.Eventually(t, "the view shows it", func() bool { return masters()["vm1"] == 2 })
	polltest.Eventually(t, "nothing is moved while the VM is down, and the reason told", func() bool {
		_, err := try(false)
		return err != nil && strings.Contains(err.Error(), "vm2 cannot get a master") && strings.Contains(err.Error(), "is failed")
	})
	if got := masters(); got["vm1"] != 2 || got["vm3"] != 1 {
		t.Errorf("something was moved: %v", got)
	}

	real.StartVM(t, "vm2")
	// Until every node sees every other as healthy, there may be another plan or none.
	if err := client.Form(t.Context(), real.Shards(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	var out syncBuffer
	status := statusCmd{Redis: redis, Timeout: 5 * time.Second}
	if err := status.Run(t.Context(), console{&out, io.Discard}); err != nil || !strings.Contains(out.String(), "warning: vm1 has 2 masters") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if out, err := try(true); err != nil || !strings.Contains(out, real.Addr(t, "redis-2")+" on vm2 takes over from "+real.Addr(t, "redis-5")+" on vm1") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := masters(); got["vm1"] != 2 {
		t.Errorf("--dry-run moved something: %v", got)
	}
	// A command that has just started cannot know of earlier elections, so it fails if it has less than four node timeouts.
	hasty := rebalanceCmd{Redis: redis, Timeout: 5 * time.Second}
	if err := hasty.Run(t.Context(), console{io.Discard, io.Discard}); err == nil || !strings.Contains(err.Error(), "votes of earlier elections may count for another") {
		t.Errorf("in a hurry: %v", err)
	}
	if got := masters(); got["vm1"] != 2 {
		t.Errorf("in a hurry it moved something: %v", got)
	}
	audited := auditFlags{AuditLog: full(t), AuditRequired: true}
	unwritten := rebalanceCmd{Redis: redis, Audit: audited, Timeout: time.Minute}
	if err := unwritten.Run(t.Context(), console{io.Discard, io.Discard}); !errors.Is(err, audit.ErrUnavailable) || masters()["vm1"] != 2 {
		t.Errorf("without a line in the audit log: %v, %v", err, masters())
	}
	log := filepath.Join(t.TempDir(), "audit.log")
	written := rebalanceCmd{Redis: redis, Audit: auditFlags{AuditLog: log}, Timeout: time.Minute}
	var restored syncBuffer
	if err := written.Run(t.Context(), console{&restored, io.Discard}); err != nil || strings.Contains(restored.String(), "warning") {
		t.Errorf("%v\n%s", err, restored.String())
	}
	plan := real.Addr(t, "redis-2") + " on vm2 takes over from " + real.Addr(t, "redis-5") + " on vm1"
	if got := auditLines(t, log); len(got) != 2 || got[0] != "rebalance before - ["+plan+"]" || got[1] != "rebalance after done ["+plan+"]" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if got := masters(); !maps.Equal(got, even) {
		t.Errorf("got %v", got)
	}
}
