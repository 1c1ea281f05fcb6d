package clustertest

import (
	"bytes"
	"io"
	"testing"

	tcexec "github.com/testcontainers/testcontainers-go/exec"
)

// fourth is a fourth shard: a master on a VM of its own, and a replica.
var fourth = []place{{"redis-7", "vm4"}, {"redis-8", "vm1"}}

// AddShard starts a master and its replica, redis-7 and redis-8, and adds them to the cluster while it serves, as an operator
// does: with deploy/redis/add-shard.sh. It takes a minute or more.
func (r *Real) AddShard(t *testing.T) {
	t.Helper()
	for _, p := range fourth {
		n, err := r.startNode(t.Context(), p.name, p.vm, r.ip(r.firstIP()+len(r.nodes)))
		if n != nil && n.container != nil {
			r.nodes = append(r.nodes, n)
		}
		if err == nil {
			err = r.publish(t.Context(), n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	script := "/tmp/add-shard.sh"
	c := r.nodes[0].container
	if err := c.CopyFileToContainer(t.Context(), inRepository("deploy/redis/add-shard.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	options := []tcexec.ProcessOption{tcexec.Multiplexed()}
	if r.tls != nil {
		options = append(options, tcexec.WithEnv([]string{"REDIS_CLI=--tls --cacert /etc/sessiond/ca.pem --cert /etc/sessiond/cert.pem --key /etc/sessiond/key.pem"}))
	}
	code, out, err := c.Exec(t.Context(), []string{"sh", script, r.nodes[0].addr, r.Addr(t, "redis-7"), r.Addr(t, "redis-8")}, options...)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	_, _ = io.Copy(&said, out)
	t.Logf("%s", said.Bytes())
	if code != 0 {
		t.Fatalf("add-shard.sh ended with %d", code)
	}
}

// Masters is how many masters with slots the cluster has: those that it was formed with, and the one that AddShard has added.
func (r *Real) Masters() int { return len(masters) + (len(r.nodes)-len(r.places()))/len(fourth) }
