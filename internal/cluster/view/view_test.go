package view

import (
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
