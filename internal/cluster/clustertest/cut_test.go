package clustertest_test

import (
	"net"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// key belongs to redis-1: its slot is 0.
const key = "{06S}"

// stored returns what a node, which may be a replica, has under the key.
func stored(t *testing.T, real *clustertest.Real, node string) string {
	t.Helper()
	conn := single(t, real, node).Conn()
	defer conn.Close()
	conn.ReadOnly(t.Context())
	return conn.Get(t.Context(), key).Val()
}

// send sends a command and does not wait for the answer.
func send(t *testing.T, conn net.Conn, command string) {
	t.Helper()
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// answered reports whether something arrives within 300 ms.
func answered(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	n, err := conn.Read(make([]byte, 64))
	return err == nil && n > 0
}

// Each cut drops what it claims to drop, and nothing else. They run one after the other on one cluster.
func TestCutsOnRealCluster(t *testing.T) {
	real := clustertest.Start(t, clustertest.TwoReplicas)
	if real.Size() != 9 {
		t.Fatalf("%d nodes", real.Size())
	}
	everywhere := func(value string, nodes ...string) {
		t.Helper()
		for _, n := range nodes {
			polltest.Eventually(t, n+" has "+value, func() bool { return stored(t, real, n) == value })
		}
	}

	t.Run("answers only", func(t *testing.T) {
		conn := connect(t, real.Addr(t, "redis-1"))
		real.CutOneWay(t, "redis-1", clustertest.Host)
		send(t, conn, "SET "+key+" unanswered")
		if answered(conn) {
			t.Error("the answer arrived")
		}
		everywhere("unanswered", "redis-4", "redis-7") // so the request arrived
		real.HealOneWay(t, "redis-1", clustertest.Host)
		polltest.Eventually(t, "the answer arrives", func() bool { return answered(conn) })
	})

	t.Run("requests only", func(t *testing.T) {
		conn := connect(t, real.Addr(t, "redis-1"))
		send(t, conn, "SUBSCRIBE news")
		if !answered(conn) {
			t.Fatal("there is no subscription")
		}
		real.CutOneWay(t, clustertest.Host, "redis-1")
		if err := single(t, real, "redis-2").Publish(t.Context(), "news", "1").Err(); err != nil { // over the cluster bus
			t.Fatal(err)
		}
		if !answered(conn) {
			t.Error("the message did not arrive")
		}
		send(t, conn, "PING")
		if answered(conn) {
			t.Error("the request was answered")
		}
		real.HealOneWay(t, clustertest.Host, "redis-1")
		polltest.Eventually(t, "the request is answered", func() bool { return answered(conn) })
	})

	t.Run("stream", func(t *testing.T) {
		conn := connect(t, real.Addr(t, "redis-1"))
		real.CutStream(t, "redis-7", "redis-1")
		send(t, conn, "SET "+key+" ahead")
		everywhere("ahead", "redis-1", "redis-4")
		if got := stored(t, real, "redis-7"); got == "ahead" {
			t.Error("the stream went on")
		}
		inOrder(t, real) // by the cluster bus
		real.HealStream(t, "redis-7", "redis-1")
		everywhere("ahead", "redis-7")
	})

	t.Run("flapping", func(t *testing.T) {
		stop := real.Flap(t, clustertest.Host, "redis-2", 200*time.Millisecond)
		alive := func() bool { return single(t, real, "redis-2").Ping(t.Context()).Err() == nil }
		for range 2 {
			polltest.Eventually(t, "the link is cut", func() bool { return !alive() })
			polltest.Eventually(t, "the link is healed", alive)
		}
		if cuts := stop(); cuts < 2 {
			t.Errorf("%d cuts", cuts)
		}
		if !alive() {
			t.Error("the link is not healed")
		}
	})
}

// A node of another cluster on the same network answers at the address of one that has ended.
func TestTakenAddressOnRealCluster(t *testing.T) {
	real := clustertest.Start(t)
	other := real.StartBeside(t)
	if a, b := real.Shards(), other.Shards(); a[0].Master == b[0].Master {
		t.Fatalf("%v and %v share addresses", a, b)
	}
	id := func(r *clustertest.Real, node string) string {
		id, _ := single(t, r, node).Do(t.Context(), "CLUSTER", "MYID").Text()
		return id
	}
	own := id(other, "other-redis-1")
	real.KillNode(t, "redis-2")
	other.TakeAddress(t, "other-redis-1", real, "redis-2")
	polltest.Eventually(t, "the other node answers", func() bool { return id(real, "redis-2") == own })
}
