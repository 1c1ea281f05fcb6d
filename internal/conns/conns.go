// Package conns limits the connections to a server, so that callers who hold many take neither the server nor its descriptors
// from the others, and so that probes reach it at the limit too.
package conns

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits are how many connections may be open. At a limit, the connection that has been silent for the longest is closed for a
// new one: it was just accepted, or waits for the next request. If none is silent, the new one is for probes.
type Limits struct {
	All        int // in all, without those for probes
	PerAddress int // of one address; of one /64 for IPv6, since a host has as many addresses as it likes
	Probes     int // connections beyond the other limits that are only for probes; half of them for one address
}

// probeLife is how long a connection for probes may last. A probe takes a second at most.
const probeLife = 3 * time.Second

// A Gate admits connections. Its methods may be called concurrently.
type Gate struct {
	metrics *metrics

	mu     sync.Mutex
	main   hall // guarded by mu
	probes hall // guarded by mu
}

// NewGate makes a gate for a listener of that name, and registers its collectors.
func NewGate(name string, l Limits, r prometheus.Registerer) *Gate {
	g := &Gate{main: newHall(l.All, l.PerAddress), probes: newHall(l.Probes, (l.Probes+1)/2)}
	g.metrics = newMetrics(r, g, prometheus.Labels{"listener": name})
	return g
}

// Listen returns a listener for the connections that the gate admits. Its server must report to [Gate.Watch] and use
// [Gate.Mark].
func (g *Gate) Listen(l net.Listener) net.Listener { return &listener{l, g} }

type listener struct {
	net.Listener
	gate *Gate
}

// Accept returns the next connection that is admitted, and closes those that are not.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.gate.admit(raw); c != nil {
			return c, nil
		}
		raw.Close()
	}
}

// admit returns nil if there is no room.
func (g *Gate) admit(raw net.Conn) *conn {
	c := &conn{Conn: raw, gate: g, address: AddressOf(raw.RemoteAddr().String())}
	closed, ok := g.enter(c)
	if closed != nil {
		g.metrics.closed.Inc()
		closed.Conn.Close()
	}
	if !ok {
		return nil
	}
	return c
}

func (g *Gate) enter(c *conn) (closed *conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if closed, ok = g.main.enter(c); ok {
		return closed, true
	}
	g.metrics.refused.Inc()
	if closed, ok = g.probes.enter(c); ok {
		c.end = time.AfterFunc(probeLife, func() { c.Close() })
	}
	return closed, ok
}

// Watch is for [http.Server.ConnState]: it tells which connections are silent.
func (g *Gate) Watch(nc net.Conn, state http.ConnState) {
	c := admitted(nc)
	if c == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch state {
	case http.StateActive:
		c.speak()
	case http.StateIdle:
		c.fallSilent()
	}
}

type forProbes struct{}

// Mark is for [http.Server.ConnContext]: it marks what comes over a connection for probes.
func (g *Gate) Mark(ctx context.Context, nc net.Conn) context.Context {
	if c := admitted(nc); c != nil && c.end != nil { // set before the server has the connection
		return context.WithValue(ctx, forProbes{}, true)
	}
	return ctx
}

// OnlyProbes reports whether the request has come over a connection for probes: nothing else is to be answered there.
func OnlyProbes(ctx context.Context) bool { return ctx.Value(forProbes{}) != nil }

// admitted is the gate's connection, which may carry one of TLS.
func admitted(nc net.Conn) *conn {
	if outer, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = outer.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}
