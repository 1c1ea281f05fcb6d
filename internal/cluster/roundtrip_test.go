package cluster_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/polltest"
)

// A wire notes what is sent over all connections, a string for each system call.
type wire struct {
	mu   sync.Mutex
	sent []string
}

func (w *wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	return wiredConn{conn, w}, err
}

type wiredConn struct {
	net.Conn
	wire *wire
}

func (c wiredConn) Write(b []byte) (int, error) {
	c.wire.mu.Lock()
	c.wire.sent = append(c.wire.sent, strings.ToLower(string(b)))
	c.wire.mu.Unlock()
	return c.Conn.Write(b)
}

// take returns what was sent that contains the text, or belongs to a commit, and forgets all.
func (w *wire) take(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := slices.DeleteFunc(w.sent, func(s string) bool { return !strings.Contains(s, text) && !strings.Contains(s, "\nwait\r") })
	w.sent = nil
	return sent
}

// A call that goes well is one round trip: everything that it sends, it sends at once. A replicated write needs no other than that.
func TestOneRoundTrip(t *testing.T) {
	f, w := startFake(t), new(wire)
	c := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{f.addrs[0].String()}, Dial: w.Dial}})
	t.Cleanup(func() { c.Close() })
	ready(t, c)
	polltest.Eventually(t, "the replica is in step", func() bool { return see(c, "redis-1").InStep })
	for _, call := range []struct {
		name     string
		make     func() error
		commands []string
	}{
		{"read", func() error { _, err := c.Get(t.Context(), nil, "one"); return err }, []string{"get"}},
		{"async write", func() error { return write(t, c, "one", "v", cluster.Async, 5*time.Second).err }, []string{"evalsha"}},
		{"replicated write", func() error { return write(t, c, "one", "v", cluster.Replicated, 5*time.Second).err }, []string{"evalsha", "role", "wait", "role"}},
	} {
		w.take("")
		if err := call.make(); err != nil && !errors.Is(err, cluster.ErrNil) {
			t.Fatalf("%s: %v", call.name, err)
		}
		sent := w.take("\r\none\r\n")
		if len(sent) != 1 {
			t.Errorf("%s: %d round trips: %q", call.name, len(sent), sent)
			continue
		}
		rest := sent[0]
		for _, command := range call.commands {
			_, after, ok := strings.Cut(rest, "\n"+command+"\r")
			if !ok {
				t.Errorf("%s: no %s where it should be in %q", call.name, command, sent)
			}
			rest = after
		}
		if n := strings.Count(sent[0], "*"); n != len(call.commands) {
			t.Errorf("%s: %d commands: %q", call.name, n, sent)
		}
	}
}
