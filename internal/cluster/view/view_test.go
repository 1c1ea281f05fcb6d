package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const sixNodes = `07c37df 10.5.0.21:6379@16379,redis-2.vm2 master - 0 1426238316232 2 connected 5461-10922
67ed2db 10.5.0.13:6379@16379,redis-6.vm3 slave 3fc783 0 1426238316232 1 connected
292f8b3 10.5.0.32:6379@16379,redis-3.vm3,shard-id=x master,fail? - 0 1426238315232 3 connected 10923-16383 [93-<-07c37df]
6ec2392 10.5.0.22:6379@16379,redis-5.vm2 slave,fail 292f8b3 0 1426238316232 3 disconnected
824fe11 :0@0 master,noaddr - 0 1426238317232 4 disconnected
3fc783 10.5.0.11:6379@16379,redis-1.vm1 myself,master - 0 0 7 connected 0-5459 5460
`

func TestParseNodes(t *testing.T) {
	nodes, err := parseNodes(sixNodes)
	if err != nil {
		t.Fatal(err)
	}
	v := View{Nodes: nodes}
	if got := v.Covered(); got != 5461+5462 {
		t.Errorf("covered %d slots: those of a suspected master do not count", got)
	}
	if got := v.Epoch(); got != 7 {
		t.Errorf("epoch %d", got)
	}
	me, ok := v.Node("3fc783")
	if !ok || !me.Self || !me.Master || me.Slots != 5461 || me.Addr != "10.5.0.11:6379" || me.VM() != "vm1" {
		t.Errorf("got %+v", me)
	}
	for id, want := range map[string]Health{"07c37df": Healthy, "292f8b3": Suspected, "6ec2392": Failed, "824fe11": NoAddress} {
		if n, _ := v.Node(id); n.Health != want {
			t.Errorf("%s is %s, want %s", id, n.Health, want)
		}
	}
	if n, _ := v.Node("67ed2db"); n.Master || n.MasterID != "3fc783" || n.VM() != "vm3" {
		t.Errorf("got %+v", n)
	}
	if n, _ := v.Node("292f8b3"); n.Slots != 5461 || n.Hostname != "redis-3.vm3" {
		t.Errorf("got %+v", n)
	}
}

// The VM is what tells nodes apart: never a domain that all share.
func TestVM(t *testing.T) {
	const pod = ".headless.shop.svc.cluster.local"
	for _, c := range []struct {
		name      string
		hostnames string // of three nodes; a node without one has "-"
		vms       map[string]string
		want      string // their VMs
	}{
		{"the bundle", "redis-1.vm1 redis-5.vm1 redis-3.vm3", nil, "vm1 vm1 vm3"},
		{"pods", "redis-0" + pod + " redis-1" + pod + " redis-2" + pod, nil, "redis-0 redis-1 redis-2"},
		{"pods whose VMs are told", "redis-0" + pod + " redis-1" + pod + " redis-2" + pod, map[string]string{"redis-0" + pod: "a", "10.0.0.2": "a", "10.0.0.3:6379": "c"}, "a a c"},
		{"VMs in a domain", "redis-1.vm1.example.com redis-5.vm1.example.com redis-3.vm3.example.com", nil, "vm1.example.com vm1.example.com vm3.example.com"},
		{"names without a domain", "a b c", nil, "10.0.0.1 10.0.0.2 10.0.0.3"},
		{"no names", "- - -", nil, "10.0.0.1 10.0.0.2 10.0.0.3"},
		{"no names, and the VM of two is told", "- - -", map[string]string{"10.0.0.1": "a", "10.0.0.3": "a", "10.0.0.9": "b"}, "a 10.0.0.2 a"},
		{"one has not told its name yet", "redis-1.vm1 redis-5.vm1 -", nil, "vm1 vm1 10.0.0.3"},
	} {
		var text strings.Builder
		for i, hostname := range strings.Fields(c.hostnames) {
			if hostname == "-" {
				hostname = ""
			}
			fmt.Fprintf(&text, "n%d 10.0.0.%d:6379@16379,%s master - 0 0 1 connected\n", i, i+1, hostname)
		}
		v, err := Parse(text.String(), "10.0.0.1:6379")
		if err != nil {
			t.Fatal(err)
		}
		v.PlaceOn(c.vms)
		var got []string
		for i := range 3 {
			n, _ := v.Node(fmt.Sprintf("n%d", i))
			got = append(got, n.VM())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
		if !slices.IsSortedFunc(v.Nodes, func(a, b Node) int { return strings.Compare(a.VM(), b.VM()) }) {
			t.Errorf("%s: the nodes are not sorted by VM", c.name)
		}
	}
	if n := (Node{ID: "n"}).At(Node{Addr: "10.0.0.1:6379", Endpoint: "redis-1:6379", vm: "a"}); n.VM() != "a" || n.Addr != "10.0.0.1:6379" || n.Endpoint != "redis-1:6379" {
		t.Errorf("where another view has it: %+v", n)
	}
	if v, err := Parse("n0 10.0.0.1:6379@16379,redis-1.vm1 myself,master - 0 0 1 connected\n", "10.0.0.1:6379"); err != nil || v.Nodes[0].VM() != "vm1" {
		t.Errorf("a node that knows no other: %+v, %v", v, err)
	}
}

func TestVMWithoutHostnameIsTheIP(t *testing.T) {
	if got := (Node{Addr: "10.5.0.11:6379"}).VM(); got != "10.5.0.11" {
		t.Errorf("got %s", got)
	}
}

func TestParseNodesRefuses(t *testing.T) {
	for _, line := range []string{
		"abc 1.2.3.4:1@2 master - 0 0",
		"abc 1.2.3.4:1@2 master - 0 0 x connected",
		"abc 1.2.3.4:1@2 master - 0 0 1 connected 5-1",
		"abc 1.2.3.4:1@2 master - 0 0 1 connected 0-16384",
		"abc 1.2.3.4:1@2 master - 0 0 1 connected foo",
	} {
		if _, err := parseNodes(line); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func TestParseReplication(t *testing.T) {
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	master := ParseReplication(ParseInfo(crlf("# Replication\nrole:master\nconnected_slaves:1\nmaster_repl_offset:900\n")))
	if master.Offset != 900 {
		t.Errorf("got %+v", master)
	}
	replica := crlf("role:slave\nmaster_link_status:up\nmaster_sync_in_progress:0\nslave_repl_offset:890\nmaster_repl_offset:890\n")
	if got := ParseReplication(ParseInfo(replica)); !got.LinkUp || got.Offset != 890 {
		t.Errorf("got %+v", got)
	}
	syncing := strings.Replace(replica, "in_progress:0", "in_progress:1", 1)
	if got := ParseReplication(ParseInfo(syncing)); got.LinkUp {
		t.Errorf("got %+v", got)
	}
}

func TestCheckPlacement(t *testing.T) {
	master := Node{ID: "m", Master: true, Slots: 1, Health: Healthy, Hostname: "a.vm1"}
	replica := Node{ID: "r", MasterID: "m", Health: Healthy, Hostname: "b.vm2"}
	good := View{Nodes: []Node{master, replica}}
	if err := good.CheckPlacement(); err != nil || len(good.WithoutReplica()) > 0 {
		t.Errorf("a good placement: %v, %v", err, good.WithoutReplica())
	}
	replica.Hostname = "b.vm1"
	if err := (View{Nodes: []Node{master, replica}}).CheckPlacement(); err == nil || !strings.Contains(err.Error(), "vm1") {
		t.Errorf("a replica beside its master: %v", err)
	}
	replica.Health = Failed
	if bare := (View{Nodes: []Node{master, replica}}).WithoutReplica(); len(bare) != 1 {
		t.Errorf("a failed replica counts: %v", bare)
	}
}

// A redirect may name a node by its address or by its announced host name. A name that two nodes announce names neither.
func TestNamed(t *testing.T) {
	v, err := Parse(sixNodes+
		"aaa 10.5.0.41:6379@16379,shared.example master - 0 0 1 connected\n"+
		"bbb 10.5.0.42:6379@16379,shared.example master - 0 0 1 connected\n", "10.5.0.11:6379")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"10.5.0.21:6379": "07c37df", "redis-2.vm2:6379": "07c37df", "redis-2.vm2:7000": "", "redis-9.vm2:6379": "", "redis-2.vm2": "",
		"shared.example:6379": "", "10.5.0.41:6379": "aaa", ":6379": "", "": "",
	} {
		if n, ok := v.Named(addr); n.ID != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", addr, n.ID, ok, want)
		}
	}
}
