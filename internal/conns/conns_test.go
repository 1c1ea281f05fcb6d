package conns

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/sessiond/sessiond/internal/polltest"
)

// An end is a connection as the gate sees it, from an address of the test's choice.
type end struct {
	net.Conn
	from string
}

func (e end) RemoteAddr() net.Addr {
	at, err := net.ResolveTCPAddr("tcp", e.from)
	if err != nil {
		panic(err)
	}
	return at
}

// A door is a gate whose callers come from where the test says.
type door struct {
	*testing.T
	*Gate
	far map[*conn]net.Conn
}

func newDoor(t *testing.T, l Limits) *door {
	return &door{t, NewGate("test", l, prometheus.NewRegistry()), map[*conn]net.Conn{}}
}

func (d *door) enter(from string) *conn {
	near, far := net.Pipe()
	c := d.admit(end{near, from})
	if c != nil {
		d.far[c] = far
	}
	return c
}

// active is enter of a connection with a request in progress.
func (d *door) active(from string) *conn {
	d.Helper()
	c := d.enter(from)
	if c == nil {
		d.Fatalf("%s was not admitted", from)
	}
	d.Watch(c, http.StateActive)
	return c
}

func (d *door) wantClosed(c *conn, want bool) {
	d.Helper()
	_ = d.far[c].SetReadDeadline(time.Now())
	if _, err := d.far[c].Read(make([]byte, 1)); (err == io.EOF) != want {
		d.Errorf("%s is closed: %t, want %t", c.address, err == io.EOF, want)
	}
}

// At the limit, the connection that has been silent for the longest makes room. One with a request in progress never does.
func TestSilentOnesMakeRoom(t *testing.T) {
	d := newDoor(t, Limits{All: 4, PerAddress: 4})
	busy := d.active("10.0.0.1:1")
	first, second := d.enter("10.0.0.2:1"), d.enter("10.0.0.3:1")
	third := d.active("10.0.0.4:1")
	d.Watch(third, http.StateIdle)
	d.Watch(first, http.StateActive)
	d.Watch(first, http.StateIdle) // now the last to fall silent

	for i, victim := range []*conn{second, third, first} {
		d.active(fmt.Sprintf("10.0.1.%d:1", i))
		d.wantClosed(victim, true)
	}
	d.wantClosed(busy, false)
	if d.enter("10.0.0.9:1") != nil {
		t.Error("a connection was admitted although all others have a request in progress")
	}
	busy.Close()
	busy.Close() // gives its place back once
	d.active("10.0.0.9:1")
	if d.enter("10.0.0.9:2") != nil {
		t.Error("one place that was left was given away twice")
	}
	if got := testutil.ToFloat64(d.metrics.closed); got != 3 {
		t.Errorf("%v were counted as closed", got)
	}
	if got := testutil.ToFloat64(d.metrics.refused); got != 2 {
		t.Errorf("%v were counted as refused", got)
	}
}

// An address at its limit takes from itself. Hosts with many IPv6 addresses are one caller.
func TestOneAddressTakesFromItself(t *testing.T) {
	d := newDoor(t, Limits{All: 10, PerAddress: 2})
	neighbour := d.enter("10.0.0.1:1") // the longest silent of all
	own := d.enter("[fd00::1]:1")
	d.active("[fd00::2]:1")
	d.active("[fd00::3]:1")
	d.wantClosed(own, true)
	d.wantClosed(neighbour, false)
	if d.enter("[fd00::4]:1") != nil {
		t.Error("an address has more connections than its limit")
	}
	d.active("[fd00:0:0:1::1]:1") // another network
	d.active("10.0.0.1:2")
	if len(d.main.by) != 3 {
		t.Errorf("%d addresses are known", len(d.main.by))
	}
	for c := range d.far {
		c.Close()
	}
	if len(d.main.by) != 0 || d.main.all.taken != 0 || d.main.all.silent.Len() != 0 {
		t.Errorf("after the last has left: %d addresses, %d taken, %d silent", len(d.main.by), d.main.all.taken, d.main.all.silent.Len())
	}
}

// Beyond the limits there are some connections for probes, not all for one address, and none of them lasts.
func TestPlacesForProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, Limits{All: 1, PerAddress: 1, Probes: 4})
		if c := d.active("10.0.0.1:1"); OnlyProbes(d.Mark(t.Context(), c)) {
			t.Error("a connection within the limits is only for probes")
		}
		probe := d.active("10.0.0.1:2")
		if !OnlyProbes(d.Mark(t.Context(), probe)) {
			t.Error("a connection beyond the limits is for more than probes")
		}
		d.active("10.0.0.1:3")
		if d.enter("10.0.0.1:4") != nil {
			t.Error("one address has all connections for probes")
		}
		d.active("10.0.0.2:1")
		time.Sleep(probeLife)
		synctest.Wait()
		d.wantClosed(probe, true)
		if d.probes.all.taken != 0 {
			t.Errorf("%d connections for probes are left", d.probes.all.taken)
		}
	})
}

// A real server reports to the gate: a keep-alive connection is closed for a new caller, and one that is answering is not.
func TestServer(t *testing.T) {
	g := NewGate("test", Limits{All: 1, PerAddress: 1, Probes: 2}, prometheus.NewRegistry())
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan struct{})
	s := &http.Server{ConnState: g.Watch, ConnContext: g.Mark, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if OnlyProbes(r.Context()) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		<-answer
	})}
	go s.Serve(g.Listen(inner))
	t.Cleanup(func() { s.Close() })
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn) { fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }
	status := func(c net.Conn) int {
		t.Helper()
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode
	}
	first := dial()
	ask(first)
	polltest.Eventually(t, "the request is in progress", func() bool {
		return gauges(t, g)[`sessiond_connections{listener="test",use="active"}`] == 1
	})
	second := dial()
	ask(second)
	if got := status(second); got != http.StatusServiceUnavailable {
		t.Errorf("beside a request in progress: %d", got)
	}
	close(answer)
	if got := status(first); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	polltest.Eventually(t, "the connection is idle", func() bool {
		return gauges(t, g)[`sessiond_connections{listener="test",use="silent"}`] == 1
	})
	third := dial()
	ask(third)
	if got := status(third); got != http.StatusOK {
		t.Errorf("beside an idle connection: %d", got)
	}
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection was not closed: %v", err)
	}
}

// gauges are the open connections, as they are exported.
func gauges(t *testing.T, g *Gate) map[string]float64 {
	t.Helper()
	text, err := testutil.CollectAndFormat(newOpen(g, prometheus.Labels{"listener": "test"}), expfmt.TypeTextPlain, "sessiond_connections")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var name string
		var value float64
		if _, err := fmt.Sscan(line, &name, &value); err == nil {
			values[name] = value
		}
	}
	return values
}

// A connection that is not the gate's passes unmarked.
func TestForeignConnections(t *testing.T) {
	d := newDoor(t, Limits{All: 1, PerAddress: 1})
	near, _ := net.Pipe()
	d.Watch(near, http.StateIdle)
	if OnlyProbes(d.Mark(context.Background(), near)) {
		t.Error("it is marked")
	}
}
