package view_test

import (
	"fmt"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// vm2 has returned after a failover. Its node redis-2 is the replica now, and vm1 holds two masters.
const afterFailover = `
a1 10.0.0.1:6379@16379,redis-1.vm1 myself,master - 0 0 1 connected 0-5460
b5 10.0.0.5:6379@16379,redis-5.vm1 master - 0 1700000000000 4 connected 5461-10922
c3 10.0.0.3:6379@16379,redis-3.vm3 master - 0 1700000000000 3 connected 10923-16383
b2 10.0.0.2:6379@16379,redis-2.vm2 slave b5 0 1700000000000 4 connected
c6 10.0.0.6:6379@16379,redis-6.vm2 slave c3 0 1700000000000 3 connected
a4 10.0.0.4:6379@16379,redis-4.vm3 slave a1 0 1700000000000 1 connected
`

func ExampleParse() {
	v, err := view.Parse(afterFailover, "10.0.0.1:6379")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("epoch:", v.Epoch(), "slots covered:", v.Covered(), "balanced:", v.Balanced())
	for _, n := range v.Nodes {
		fmt.Println(n.VM(), n.Name(), n.Role(), n.Health, n.Slots)
	}

	// Output:
	// epoch: 4 slots covered: 16384 balanced: false
	// vm1 redis-1.vm1 master ok 5461
	// vm1 redis-5.vm1 master ok 5462
	// vm2 redis-2.vm2 replica ok 0
	// vm2 redis-6.vm2 replica ok 0
	// vm3 redis-3.vm3 master ok 5461
	// vm3 redis-4.vm3 replica ok 0
}

func ExamplePlanRebalance() {
	v, err := view.Parse(afterFailover, "10.0.0.1:6379")
	if err != nil {
		fmt.Println(err)
		return
	}
	moves, err := view.PlanRebalance(v)
	fmt.Println(moves, err)

	// Output:
	// [10.0.0.2:6379 on vm2 takes over from 10.0.0.5:6379 on vm1] <nil>
}
