package clustertest_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// single is a client of one node that makes one attempt, of at most half a second.
func single(t *testing.T, real *clustertest.Real, name string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: real.Addr(t, name), Dialer: real.Connect, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 500 * time.Millisecond, ReadTimeout: 500 * time.Millisecond, DisableIdentity: true,
	})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// inOrder waits until every node sees all nodes as healthy, and all replicas are in step.
func inOrder(t *testing.T, real *clustertest.Real) {
	t.Helper()
	c := real.Admin(t)
	if err := c.Form(t.Context(), real.Shards(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	polltest.Eventually(t, "every node sees all nodes as healthy", func() bool {
		nodes, err := c.Status(t.Context())
		for _, n := range nodes {
			if err != nil || n.Health != view.Healthy || !n.Answers {
				return false
			}
		}
		return err == nil && len(nodes) == real.Size()
	})
}

// silent asserts that a connection brings neither an answer nor an error for half a second.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Errorf("writing: %v", err)
	}
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading: %d bytes, %v", n, err)
	}
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Each fault is what it claims to be. They run one after the other on one cluster.
func TestFaultsOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	witness := real.Poll(t)
	ping := func(name string) error { return single(t, real, name).Ping(t.Context()).Err() }
	timesOut := func(name string) {
		t.Helper()
		if err, ok := errors.AsType[net.Error](ping(name)); !ok || !err.Timeout() {
			t.Errorf("%s: got %v, want a timeout", name, err)
		}
	}
	up := func(names ...string) {
		t.Helper()
		for _, name := range names {
			polltest.Eventually(t, name+" answers", func() bool { return ping(name) == nil })
		}
	}

	t.Run("pause", func(t *testing.T) {
		real.PauseVM(t, "vm1")
		conn := connect(t, real.Addr(t, "redis-1")) // accepted by the kernel
		silent(t, conn)
		real.UnpauseVM(t, "vm1")
		up("redis-1", "redis-5")
		inOrder(t, real)
	})

	t.Run("cut", func(t *testing.T) {
		real.Cut(t, clustertest.Host, "redis-2")
		timesOut("redis-2")
		if err := ping("redis-6"); err != nil {
			t.Errorf("the VM's other node: %v", err)
		}
		real.Heal(t, clustertest.Host, "redis-2")
		up("redis-2")
		inOrder(t, real)
	})

	t.Run("isolated", func(t *testing.T) {
		began := time.Now()
		real.IsolateVM(t, "vm3", clustertest.Host)
		up("redis-3", "redis-4")
		t.Logf("promoted after %s", witness.Promoted(t, "redis-6", began).Sub(began))
		real.HealVM(t, "vm3")
		polltest.Eventually(t, "redis-3 returns as a replica", func() bool {
			info, _ := single(t, real, "redis-3").Info(t.Context(), "replication").Result()
			return strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
		})
		inOrder(t, real)
		real.IsolateVM(t, "vm3")
		timesOut("redis-3")
		real.HealVM(t, "vm3")
		up("redis-3", "redis-4")
		inOrder(t, real)
	})

	t.Run("planned failover", func(t *testing.T) {
		began := time.Now()
		real.Failover(t, "redis-3")
		t.Logf("promoted after %s", witness.Promoted(t, "redis-3", began).Sub(began))
		inOrder(t, real)
	})

	t.Run("planned restart", func(t *testing.T) {
		ended := real.RestartNode(t, "redis-1", clustertest.RestartOptions{})
		up("redis-1")
		t.Logf("back after %s", time.Since(ended))
		inOrder(t, real)
		if log := real.Log(t, "redis-1"); strings.Contains(log, "is held back") {
			t.Errorf("a planned restart does not wait:\n%s", log)
		}
		_, back, _ := strings.Cut(real.Log(t, "redis-1"), "Received SIGTERM")
		if !strings.Contains(back, "bye bye") {
			t.Errorf("it was not stopped cleanly:\n%s", back)
		}
		if info, _ := single(t, real, "redis-1").Info(t.Context(), "replication").Result(); strings.Contains(info, "role:slave") {
			real.Failover(t, "redis-1") // a busy machine: the restart took longer than the others waited
			inOrder(t, real)
		}
	})

	t.Run("power off", func(t *testing.T) {
		conn := connect(t, real.Addr(t, "redis-1"))
		idle := connect(t, real.Addr(t, "redis-5"))
		began := time.Now()
		real.PowerOffVM(t, "vm1")
		after := time.Now()
		silent(t, conn)
		silent(t, idle)
		timesOut("redis-1")
		t.Logf("power off took %s; promoted after %s, all slots covered after %s", after.Sub(began),
			witness.Promoted(t, "redis-4", began).Sub(began), witness.Covered(t, after).Sub(began))
		real.StartVM(t, "vm1")
		up("redis-1", "redis-5") // at their former addresses
		inOrder(t, real)
		real.Failover(t, "redis-1")
		inOrder(t, real)
	})

	t.Run("killed", func(t *testing.T) {
		conn := connect(t, real.Addr(t, "redis-1"))
		real.KillVM(t, "vm1")
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want the end of the connection", err)
		}
		real.StartVM(t, "vm1")
		up("redis-5")
		up("redis-1")
		inOrder(t, real)
	})

	t.Run("everything loses power", func(t *testing.T) {
		vms := []string{"vm1", "vm2", "vm3"}
		for _, vm := range vms {
			real.PowerOffVM(t, vm)
		}
		began := time.Now()
		for _, vm := range vms {
			real.StartVM(t, vm)
		}
		t.Logf("all slots covered after %s", witness.Covered(t, began).Sub(began))
		inOrder(t, real)
		// How the hold ends depends on who is up first: too few masters, or a replica that the others saw fail before.
		if log := real.Log(t, "redis-2"); !strings.Contains(log, "it is held back until its replica has taken over") {
			t.Errorf("redis-2 was not held:\n%s", log)
		}
	})
}

// alive asks with a short timeout: a container without a network is silent.
func alive(s *clustertest.Service) bool {
	answer, err := (&http.Client{Timeout: 500 * time.Millisecond}).Get(s.URL + "/livez")
	if err == nil {
		answer.Body.Close()
	}
	return err == nil
}

// A service in a container stores sessions while slots move, refuses them without memory, is cut off from a node, and
// ends when it is told to.
func TestServiceOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	service := real.StartService(t, clustertest.ServiceOptions{Args: []string{"--request-timeout=1s"}})
	create := func() int {
		t.Helper()
		answer, err := http.Post(service.URL+"/v1/sessions", "application/json", strings.NewReader(`{"data":1}`))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	read := func(id string) int {
		t.Helper()
		answer, err := http.Get(service.URL + "/v1/sessions/" + id)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	var ids []string
	for range 60 {
		answer, err := http.Post(service.URL+"/v1/sessions", "application/json", strings.NewReader(`{"data":1}`))
		if err != nil || answer.StatusCode != http.StatusCreated {
			t.Fatalf("%v %v", answer, err)
		}
		answer.Body.Close()
		ids = append(ids, answer.Header.Get("Session-ID"))
	}

	before := single(t, real, "redis-2").DBSize(t.Context()).Val()
	real.MoveSlots(t, "redis-2", "redis-3", 50)
	if after := single(t, real, "redis-2").DBSize(t.Context()).Val(); after >= before {
		t.Errorf("redis-2 had %d keys and has %d", before, after)
	}
	for _, id := range ids {
		if got := read(id); got != http.StatusOK {
			t.Errorf("after the move: got %d", got)
		}
	}

	restore := real.SetMaxMemory(t, 1)
	if got := create(); got != http.StatusInsufficientStorage {
		t.Errorf("without memory: got %d", got)
	}
	restore()
	if got := create(); got != http.StatusCreated {
		t.Errorf("with memory: got %d", got)
	}

	for _, n := range []string{"vm1", "vm2", "vm3"} {
		real.Cut(t, service.Name, n)
	}
	if got := create(); got != http.StatusServiceUnavailable {
		t.Errorf("cut off: got %d", got)
	}
	for _, n := range []string{"vm1", "vm2", "vm3"} {
		real.Heal(t, service.Name, n)
	}
	polltest.Eventually(t, "the service works again", func() bool { return create() == http.StatusCreated })

	service.Stop(t)
	if alive(service) {
		t.Error("it answers after its end")
	}
	inside := real.StartService(t, clustertest.ServiceOptions{VM: "vm2", LiveOnly: true})
	real.PowerOffVM(t, "vm2")
	if alive(inside) {
		t.Error("a service on a VM without power answers")
	}
	real.StartVM(t, "vm2")
	polltest.Eventually(t, "the service is back with its VM", func() bool { return alive(inside) })
	inside.Kill(t)
}

// A master loses its power for a moment under load, and with it what its log had not synced. It comes back before the
// others have noticed, and is held until its replica, which has all that WAIT 1 acknowledged, has taken over.
func TestFastRestartLosesNothingOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	witness := real.Poll(t)
	master := single(t, real, "redis-1")

	var mu sync.Mutex
	var acknowledged []string
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("{06S}:%d:%d", w, i) // slot 0
				var waited *redis.IntCmd
				_, err := master.Pipelined(t.Context(), func(p redis.Pipeliner) error {
					p.Set(t.Context(), key, i, 0)
					waited = redis.NewIntCmd(t.Context(), "WAIT", 1, 100)
					return p.Process(t.Context(), waited)
				})
				if err != nil {
					return // the master is gone
				}
				if waited.Val() == 1 {
					mu.Lock()
					acknowledged = append(acknowledged, key)
					mu.Unlock()
				}
			}
		})
	}
	ended := real.RestartNode(t, "redis-1", clustertest.RestartOptions{Kill: true, Lose: time.Second})
	t.Logf("started again after %s", time.Since(ended))
	writers.Wait()
	if len(acknowledged) < 100 {
		t.Fatalf("only %d writes before the fault", len(acknowledged))
	}

	// Whichever node is master in the end, the other one follows it.
	replication := func(name string) string {
		info, _ := single(t, real, name).Info(t.Context(), "replication").Result()
		return info
	}
	var now *redis.Client
	polltest.Eventually(t, "the shard has a master and a replica in step", func() bool {
		for master, replica := range map[string]string{"redis-1": "redis-4", "redis-4": "redis-1"} {
			now = single(t, real, master)
			if strings.Contains(replication(master), "role:master") && strings.Contains(replication(replica), "master_link_status:up") {
				return true
			}
		}
		return false
	})
	lost := 0
	for _, key := range acknowledged {
		if n, err := now.Exists(t.Context(), key).Result(); err != nil || n == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Fatalf("%d of %d acknowledged writes are lost", lost, len(acknowledged))
	}
	if log := real.Log(t, "redis-1"); !strings.Contains(log, "is held back") || !strings.Contains(log, "has its slots") {
		t.Errorf("it was not held until the failover:\n%s", log)
	}
	t.Logf("%d writes acknowledged; the replica was promoted after %s", len(acknowledged), witness.Promoted(t, "redis-4", ended).Sub(ended))
}
