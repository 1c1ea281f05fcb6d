package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A client finds the cluster by one of its nodes. The terms of a request say how durable its writes must be, and learn how
// durable they are. A node without a replica can only achieve one copy.
func ExampleClient() {
	redis, err := miniredis.Run() // a cluster of one node, in this process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer redis.Close()

	client := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{redis.Addr()}}})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	_, err = client.Get(ctx, nil, "greeting")
	fmt.Println("absent:", errors.Is(err, cluster.ErrNil))

	set := cluster.NewScript(`redis.call('SET', KEYS[1], ARGV[1]) return {ARGV[1]}`)
	terms := &cluster.Terms{Durability: cluster.Replicated}
	reply, err := client.Run(ctx, terms, set, []string{"greeting"}, "hello")
	fmt.Println("wrote:", reply, err, "durability:", terms.Achieved())

	value, err := client.Get(ctx, terms, "greeting")
	fmt.Printf("read: %s %v from a replica: %t\n", value, err, terms.FromReplica())

	strict := &cluster.Terms{Durability: cluster.Strict}
	_, err = client.Run(ctx, strict, set, []string{"greeting"}, "goodbye")
	fmt.Println("strict:", err)

	// Output:
	// absent: true
	// wrote: [hello] <nil> durability: single
	// read: hello <nil> from a replica: false
	// strict: the cluster is unavailable: the write is strict, and its shard has no replica
}
