package peer

import (
	"testing"

	"github.com/alicebob/miniredis/v2/server"
)

// An answer that was torn off is none: without its run ID a process would pass for another.
func TestTornAnswerIsNone(t *testing.T) {
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	torn := false
	for cmd, do := range map[string]server.Cmd{
		"HELLO":  func(p *server.Peer, _ string, _ []string) { p.WriteError("ERR unknown command") }, // RESP2 it is
		"CLIENT": func(p *server.Peer, _ string, _ []string) { p.WriteOK() },
		"CLUSTER": func(p *server.Peer, _ string, _ []string) {
			p.WriteBulk("m1 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n")
			p.Flush()
		},
		"INFO": func(p *server.Peer, _ string, _ []string) {
			if torn {
				p.Close()
				return
			}
			p.WriteBulk("run_id:r1\r\nrole:master\r\nmaster_repl_offset:7\r\n")
		},
		"CONFIG": func(p *server.Peer, _ string, _ []string) { p.WriteError("NOPERM no") },
	} {
		if err := s.Register(cmd, do); err != nil {
			t.Fatal(err)
		}
	}
	set := NewSet(Access{}, nil, Hooks{})
	defer set.Close()
	p := set.At(s.Addr().String())
	a, err := p.Probe(t.Context())
	if err != nil || a.RunID != "r1" || a.Replication.Offset != 7 || a.NodeTimeout != 0 {
		t.Errorf("what the node does not say stays zero: %+v, %v", a, err)
	}
	torn = true
	if a, err := p.Probe(t.Context()); err == nil {
		t.Errorf("got %+v of a torn answer", a)
	}
}
