package peer

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// fakeNode is a server on the returned address, whose replies to commands the test sets: "+text", "$text" for a bulk string,
// "*text text" for an array of strings, "-ERR text", or "" to hang up.
func fakeNode(t *testing.T) (addr string, answer func(cmd, reply string)) {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Addr().String(), func(cmd, reply string) {
		do := func(p *server.Peer, _ string, _ []string) {
			switch {
			case reply == "":
				p.Close()
			case strings.HasPrefix(reply, "-"):
				p.WriteError(reply[1:])
			case strings.HasPrefix(reply, "*"):
				p.WriteStrings(strings.Fields(reply[1:]))
			case strings.HasPrefix(reply, "+"):
				p.WriteInline(reply[1:])
			default:
				p.WriteBulk(reply[1:])
				p.Flush()
			}
		}
		if err := s.Register(cmd, do); err != nil {
			t.Fatal(err)
		}
	}
}

// An answer that was torn off is none: without its run ID a process would pass for another.
func TestTornAnswerIsNone(t *testing.T) {
	for _, c := range []struct {
		name, info string
		torn       bool
	}{
		{"whole", "$run_id:r1\r\nrole:master\r\nmaster_repl_offset:7\r\n", false},
		{"torn", "", true},
	} {
		addr, answer := fakeNode(t)
		answer("HELLO", "-ERR unknown command") // RESP2 it is
		answer("CLIENT", "+OK")
		answer("CLUSTER", "$m1 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n")
		answer("INFO", c.info)
		answer("CONFIG", "-NOPERM no")
		set := NewSet(Access{NodeTimeout: 5 * time.Second, VMs: map[string]string{"127.0.0.1": "vm7"}}, nil, Hooks{})
		defer set.Close()
		a, err := set.At(addr).Probe(t.Context())
		if (err != nil) != c.torn {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.torn && a.View.Nodes[0].VM() != "vm7" {
			t.Errorf("the node is on %s", a.View.Nodes[0].VM())
		}
		if !c.torn && (a.RunID != "r1" || a.Replication.Offset != 7 || a.Epoch != 0 || a.NodeTimeout != 5*time.Second) {
			t.Errorf("what the node does not say stays zero, but for the node timeout that was given: %+v", a)
		}
	}
}

// Nodes are to be dialled by the names that they announce if the cluster says that it prefers that.
func TestProbeLearnsEndpoints(t *testing.T) {
	for _, c := range []struct{ name, config, want string }{
		{"host names", "*cluster-preferred-endpoint-type hostname", "redis-1.example:1"},
		{"addresses", "*cluster-preferred-endpoint-type ip", ""},
		{"none", "*cluster-preferred-endpoint-type unknown-endpoint", ""},
		{"not told", "-NOPERM no", ""},
	} {
		addr, answer := fakeNode(t)
		answer("HELLO", "-ERR unknown command") // RESP2 it is
		answer("CLIENT", "+OK")
		answer("CLUSTER", "$m1 127.0.0.1:1@2,redis-1.example myself,master - 0 0 1 connected 0-16383\nm2 127.0.0.1:3@4 master - 0 0 1 connected\n")
		answer("INFO", "$run_id:r1\r\n")
		answer("CONFIG", c.config)
		set := NewSet(Access{}, nil, Hooks{})
		defer set.Close()
		a, err := set.At(addr).Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		named, _ := a.View.Node("m1")
		nameless, _ := a.View.Node("m2")
		if named.Endpoint != c.want || nameless.Endpoint != "" {
			t.Errorf("%s: endpoints %q and %q, want %q", c.name, named.Endpoint, nameless.Endpoint, c.want)
		}
	}
}
