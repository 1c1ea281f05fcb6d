package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/certtest"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A net of hosts: what names stand for, and how each address behaves.
type hosts struct {
	names map[string][]string
	hangs []string // these answer nothing
	works []string // these accept; all others refuse

	mu      sync.Mutex
	dialled []string // guarded by mu
}

func (h *hosts) access() Access {
	return Access{Attempt: time.Second, Dial: h.dial, Lookup: h.lookup}
}

func (h *hosts) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if h.names[host] == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if h.names[host][0] == "" { // the name service answers nothing
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var ips []netip.Addr
	for _, ip := range h.names[host] {
		ips = append(ips, netip.MustParseAddr(ip))
	}
	return ips, nil
}

func (h *hosts) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	h.mu.Lock()
	h.dialled = append(h.dialled, addr)
	h.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case slices.Contains(h.hangs, addr):
		<-ctx.Done()
		return nil, ctx.Err()
	case slices.Contains(h.works, addr):
		here, _ := net.Pipe()
		return here, nil
	}
	return nil, errors.New("connection refused")
}

// A node is reached by its host name if the cluster prefers that, wherever the name leads now, and by its address if no name
// service knows the name or none answers.
func TestDialsByName(t *testing.T) {
	for _, c := range []struct{ name, endpoint, resolves, want string }{
		{"no endpoint", "", "10.0.0.7", "10.0.0.1:6379"},
		{"an endpoint", "redis-1.example:6379", "10.0.0.7", "10.0.0.7:6379"},
		{"one with another port", "redis-1.example:7000", "10.0.0.7", "10.0.0.7:7000"},
		{"a name that is not known", "redis-9.example:6379", "10.0.0.7", "10.0.0.1:6379"},
		{"a name service that is silent", "redis-1.example:6379", "", "10.0.0.1:6379"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &hosts{names: map[string][]string{"redis-1.example": {c.resolves}}, works: []string{c.want}}
			set := NewSet(h.access(), nil, Hooks{})
			p := set.At("10.0.0.1:6379")
			set.Meet([]view.Node{{Addr: "10.0.0.1:6379", Hostname: "redis-1.example", Endpoint: c.endpoint}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			conn, err := p.dial(ctx, "tcp", p.Addr)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			conn.Close()
			if len(h.dialled) != 1 || h.dialled[0] != c.want {
				t.Errorf("%s: dialled %v, want %s", c.name, h.dialled, c.want)
			}
		})
	}
}

// Of a seed that is a name, every address is tried, those that it has now: neither a dead host behind it nor one that refuses
// costs the attempt.
func TestTriesEveryAddressOfASeed(t *testing.T) {
	for range 20 { // the order is random
		synctest.Test(t, func(t *testing.T) {
			h := &hosts{
				names: map[string][]string{"redis.example": {"10.0.0.1", "10.0.0.2", "10.0.0.3", "::4"}},
				hangs: []string{"10.0.0.1:6379", "10.0.0.2:6379"}, works: []string{"[::4]:6379"},
			}
			p := NewSet(h.access(), nil, Hooks{}).At("redis.example:6379")
			try := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				conn, err := p.dial(ctx, "tcp", p.Addr)
				if err == nil {
					conn.Close()
				}
				synctest.Wait() // until the other dials have ended, too
				return err
			}
			began := time.Now()
			if err := try(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 3*stagger {
				t.Errorf("it took %s", took)
			}
			h.works, h.hangs = nil, nil
			if err := try(); err == nil {
				t.Error("it connected to nobody")
			}
			h.names["redis.example"], h.works = []string{"10.0.0.9"}, []string{"10.0.0.9:6379"}
			if err := try(); err != nil {
				t.Errorf("the name leads elsewhere: %v", err)
			}
		})
	}
}

// A certificate must be for the node's host name or for its address. Another name is right only if it is the configured one.
func TestCertificateNames(t *testing.T) {
	ca, strangers := certtest.New(t), certtest.New(t)
	for _, c := range []struct {
		name, hostname, configured string
		cert                       certtest.Pair
		want                       string // in the error; empty for none
	}{
		{"the host name", "redis-1.example", "", ca.Issue(t, "redis-1.example"), ""},
		{"the address", "redis-1.example", "", ca.Issue(t, "127.0.0.1"), ""},
		{"the address of a node without a name", "", "", ca.Issue(t, "127.0.0.1"), ""},
		{"a name that the node does not have", "", "", ca.Issue(t, "redis-1.example"), "127.0.0.1"},
		{"another node's", "redis-1.example", "", ca.Issue(t, "redis-2.example"), "redis-1.example"},
		{"the configured name", "redis-1.example", "redis.example", ca.Issue(t, "redis.example"), ""},
		{"not the configured name", "redis-1.example", "redis.example", ca.Issue(t, "redis-1.example", "127.0.0.1"), "redis.example"},
		{"another authority's", "redis-1.example", "", strangers.Issue(t, "redis-1.example"), "unknown authority"},
	} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c.cert.Load(t)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.(*tls.Conn).Handshake()
				conn.Close()
			}
		}()
		config := func() *tls.Config { return &tls.Config{RootCAs: ca.Pool(), ServerName: c.configured} }
		set := NewSet(Access{TLS: config}, nil, Hooks{})
		set.Meet([]view.Node{{Addr: l.Addr().String(), Hostname: c.hostname}})
		conn, err := set.At(l.Addr().String()).dial(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
