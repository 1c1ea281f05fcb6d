package main

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/conns"
	"github.com/sessiond/sessiond/internal/polltest"
)

// The defaults leave descriptors for Redis, and what leaves too few is refused.
func TestConnections(t *testing.T) {
	for _, c := range []struct {
		flags       serveCmd
		descriptors int
		want        conns.Limits
	}{
		{serveCmd{}, 512, conns.Limits{All: 348, PerAddress: 174, Probes: 16}},
		{serveCmd{OpsListen: ":9090"}, 512, conns.Limits{All: 246, PerAddress: 123, Probes: 16}},
		{serveCmd{}, 1 << 20, conns.Limits{All: 10000, PerAddress: 5000, Probes: 16}},
		{serveCmd{}, 0, conns.Limits{All: 10000, PerAddress: 5000, Probes: 16}},
		{serveCmd{MaxConnections: 99}, 512, conns.Limits{All: 99, PerAddress: 50, Probes: 16}},
		{serveCmd{MaxConnections: 448, MaxConnectionsPerAddress: 448}, 512, conns.Limits{All: 448, PerAddress: 448, Probes: 16}},
	} {
		if got, err := c.flags.connections(c.descriptors); err != nil || got != c.want {
			t.Errorf("%d descriptors: got %+v, %v; want %+v", c.descriptors, got, err, c.want)
		}
	}
	for _, c := range []struct {
		flags       serveCmd
		descriptors int
	}{{serveCmd{MaxConnections: 449}, 512}, {serveCmd{MaxConnections: 448, OpsListen: ":9090"}, 512}, {serveCmd{}, 64}, {serveCmd{}, 40}} {
		if got, err := c.flags.connections(c.descriptors); err == nil {
			t.Errorf("%d descriptors leave nothing for Redis, and that was accepted: %+v", c.descriptors, got)
		}
	}
}

// Callers who hold every connection shut nobody out: idle ones make room, and probes are answered beside busy ones.
func TestConnectionsAreBounded(t *testing.T) {
	url, _ := serve(t, parse(t, "--embedded", "--max-connections", "4", "--max-connections-per-address", "4"))
	addr := strings.TrimPrefix(url, "http://")
	hold := func(text string) net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	caller := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := caller.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for range 10 {
		hold("")
	}
	if got := get("/v1/cluster"); got != http.StatusOK {
		t.Errorf("beside silent connections: %d", got)
	}
	for range 4 {
		polltest.Eventually(t, "the connection of the call before is gone, and a stream gets its place", func() bool {
			stream := hold("GET /v1/cluster/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
			answer, err := http.ReadResponse(bufio.NewReader(stream), nil)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode == http.StatusOK
		})
	}
	if got := get("/v1/cluster"); got != http.StatusServiceUnavailable {
		t.Errorf("a call beside busy connections: %d", got)
	}
	if got := get("/livez"); got != http.StatusOK {
		t.Errorf("a probe beside busy connections: %d", got)
	}
}
