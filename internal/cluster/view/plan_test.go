package view

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// placed makes a view from "name@vm" for a master and "name@vm>master" for a replica. A leading "!" marks a failed node.
func placed(nodes ...string) View {
	var v View
	for _, s := range nodes {
		n := Node{Health: Healthy, Master: true, Slots: 10}
		if rest, failed := strings.CutPrefix(s, "!"); failed {
			n.Health, s = Failed, rest
		}
		s, master, replica := strings.Cut(s, ">")
		if replica {
			n.Master, n.MasterID, n.Slots = false, master, 0
		}
		n.ID, n.Hostname, _ = strings.Cut(s, "@")
		n.Addr, n.Hostname = n.ID, n.ID+"."+n.Hostname
		v.Nodes = append(v.Nodes, n)
	}
	return v
}

func TestPlanRebalance(t *testing.T) {
	for _, c := range []struct {
		name  string
		nodes string
		want  string // the replicas to promote, in order; or "!" and a part of the error
	}{
		{"one master on each VM already", "1@a 2@b 3@c 4@c>1 5@a>2 6@b>3", ""},
		{"in each other's places, but one on each VM", "1@a>4 2@b>5 3@c>6 4@c 5@a 6@b", ""},
		{"the killed VM is back", "1@a>4 2@b 3@c 4@c 5@a>2 6@b>3", "1"},
		// c holds two and a none, but the replica on a that could take over from c is gone: the masters move up by one VM.
		{"over a third VM", "!1@a>4 2@b 3@c 4@c 5@a>2 6@b>3", "5 6"},
		{"three on one VM", "1@a>4 2@b>5 3@c 4@c 5@c 6@b>3", "1 2"},
		{"all on one VM, the replicas in a chain", "1@c 2@c 3@c 4@b>1 5@b>2 6@a>3 7@b>3", "4 6"},
		{"a VM is down", "!1@a>4 2@b 3@c 4@c !5@a>2 6@b>3", "!a cannot get a master: 1 is failed, 5 is failed"},
		{"the master to take over from is failing", "1@a>4 2@b 3@c !4@c 5@a>2 6@b>3", "5 6"},
		{"nobody can take over", "1@a>4 2@b 3@c !4@c !5@a>2 6@b>3", "!1 could only take over from 4, which is failed on c"},
		{"four shards on three VMs, as even as it gets", "1@a 2@a 3@b 4@c 5@c>1 6@b>2", ""},
		{"four shards on three VMs", "1@a 2@a 3@a 4@c 5@c>1 6@b>2", "6"},
		{"five VMs, two hops", "1@a 2@a 3@b 4@c 5@b>1 6@c>3 7@d>4", "7 6 5"},
		{"replicas on a VM of their own", "1@a 2@a 3@b 4@c>3 5@c>3", "!c cannot get a master: 4 could only take over from 3, which is ok on b with 1 masters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := placed(strings.Fields(c.nodes)...)
			moves, err := PlanRebalance(v)
			if why, fails := strings.CutPrefix(c.want, "!"); fails {
				if err == nil || !strings.Contains(err.Error(), why) || len(moves) > 0 {
					t.Fatalf("got %v, %v; want an error that says %q", moves, err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range moves {
				got = append(got, m.Replica.ID)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			checkMoves(t, v, moves)
		})
	}
}

// checkMoves makes the moves and asserts that, at each step, no VM has more masters than both its number before and its
// share, and that every VM has its share at the end.
func checkMoves(t *testing.T, v View, moves []Move) {
	t.Helper()
	before := v.MastersByVM()
	shards := 0
	for _, n := range before {
		shards += n
	}
	share := (shards + len(before) - 1) / len(before)
	for _, m := range moves {
		v.apply(m)
		for vm, n := range v.MastersByVM() {
			if n > max(before[vm], share) {
				t.Errorf("%s has %d masters on the way", vm, n)
			}
		}
	}
	for vm, n := range v.MastersByVM() {
		if n < shards/len(before) || n > share {
			t.Errorf("%s has %d masters in the end", vm, n)
		}
	}
	if again, err := PlanRebalance(v); err != nil || len(again) > 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
}

// However the bundle's shards have failed over, every VM gets one master again.
func TestPlanRebalanceOfTheBundle(t *testing.T) {
	for bits := range 8 {
		role := func(shard int, replica bool) string {
			if (bits>>shard&1 == 1) == replica {
				return ""
			}
			if replica {
				return fmt.Sprintf(">%d", shard+1)
			}
			return fmt.Sprintf(">%d", shard+4)
		}
		v := placed("1@a"+role(0, false), "2@b"+role(1, false), "3@c"+role(2, false), "4@c"+role(0, true), "5@a"+role(1, true), "6@b"+role(2, true))
		moves, err := PlanRebalance(v)
		if err != nil || len(moves) > 1 {
			t.Errorf("%v: %v, %v", v.MastersByVM(), moves, err)
		}
		checkMoves(t, v, moves)
	}
}

func TestMastersByVM(t *testing.T) {
	v := placed("1@a", "2@a", "3@b", "4@c>1", "5@d")
	v.Nodes[2].Slots = 0
	v.Nodes[4].Health = NoAddress
	if got := v.MastersByVM(); !maps.Equal(got, map[string]int{"a": 2, "b": 0, "c": 0}) {
		t.Errorf("got %v", got)
	}
}
