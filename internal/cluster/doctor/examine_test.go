package doctor

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A node with an answer to each command. An answer that begins with "-" is an error, and one with ":" an array of integers. At "!"
// it closes the connection.
func node(t *testing.T, answers map[string]string) string {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for cmd, answer := range answers {
		err := s.Register(cmd, func(p *server.Peer, _ string, _ []string) {
			switch kind, rest := answer[:1], answer[1:]; kind {
			case "!":
				p.Close()
			case "-":
				p.WriteError(rest)
			case ":":
				p.WriteLen(len(rest))
				for _, digit := range rest {
					p.WriteInt(int(digit - '0'))
				}
			case "*":
				p.WriteStrings(strings.Fields(rest))
			default:
				p.WriteBulk(answer)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s.Addr().String()
}

// What a node says, and what it refuses to say, both come out in the report.
func TestExamineAsks(t *testing.T) {
	says := map[string]string{
		"HELLO": "-ERR unknown command", "CLIENT": "-ERR unknown command", "CLUSTER": "m1 127.0.0.1:1@2,redis-1.vm1 myself,master - 0 0 1 connected 0-16383\n",
		"INFO": "redis_version:8.0.2\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:1\r\n", "CONFIG": "*cluster-require-full-coverage yes",
		"TIME": "*1700000000 0", "EVAL": ":",
	}
	for _, c := range []struct {
		name, cmd, answer string
		check             string
		want              string
		lacks             []Ability
	}{
		{"it evicts", "TIME", "-ERR", "eviction", "breaks redis-1", nil},
		{"it wants full coverage", "TIME", "-ERR", "full-coverage", "breaks redis-1", nil},
		{"CONFIG is denied", "CONFIG", "-NOPERM no", "full-coverage", "unknown redis-1", nil},
		{"the node timeout is not told", "TIME", "-ERR", "node-timeout", "unknown redis-1", nil},
		{"the first needs are denied", "EVAL", ":13", "permissions", "breaks redis-1", []Ability{Sessions}},
		{"scripts are denied", "EVAL", "-NOPERM no", "permissions", "breaks redis-1", []Ability{Sessions}},
		{"the engine does not tell", "EVAL", "-ERR this engine does not tell", "permissions", "unknown redis-1", nil},
		{"it ends before it has told all", "EVAL", "!", "answers", "unknown redis-1", nil},
		{"it ends at its settings", "CONFIG", "!", "answers", "unknown redis-1", nil},
		{"all is permitted", "EVAL", ":", "permissions", "", nil},
		{"no view is permitted", "CLUSTER", "-NOPERM no", "answers", "unknown redis-1", nil},
	} {
		answers := maps.Clone(says)
		answers[c.cmd] = c.answer
		addr := node(t, answers)
		peers := peer.NewSet(peer.Access{Addrs: []string{addr}}, nil, peer.Hooks{})
		defer peers.Close()
		v := view.View{Nodes: []view.Node{{ID: "m1", Addr: addr, Hostname: "redis-1.vm1", Master: true, Slots: view.Slots, Health: view.Healthy}}}
		r := Examine(t.Context(), v, peers.At, wellTerms)
		if got := strings.Join(told(r, c.check), ","); got != c.want {
			t.Errorf("%s: got %q, want %q: %+v", c.name, got, c.want, r.Findings)
		}
		if got := r.Lacks("m1"); !slices.Equal(got, c.lacks) {
			t.Errorf("%s: lacks %v", c.name, got)
		}
		if r.Nodes[0].Err == nil && r.Nodes[0].Engine != "Redis 8.0.2" {
			t.Errorf("%s: the engine is %q", c.name, r.Nodes[0].Engine)
		}
	}
}
