package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// stagger is how long an address of a name may be silent before the next one is tried too.
const stagger = 50 * time.Millisecond

// dial connects to the node where the cluster wants clients to reach it: at its host name, or at its address.
func (p *Peer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n := p.line.Load()
	if n == nil {
		n = &view.Node{} // a seed, or nobody has told of it yet
	}
	conn, err := p.access.reach(ctx, network, n.Endpoint, addr)
	if err != nil || p.access.TLS == nil {
		return conn, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return secure(ctx, conn, p.access.TLS(), n.Hostname, host)
}

// reach connects to the first of the addresses that answers: those that the name in the endpoint has now, or if there is no
// endpoint, or no name service that knows it, those of addr.
func (a Access) reach(ctx context.Context, network, endpoint, addr string) (net.Conn, error) {
	if endpoint != "" {
		half, cancel := context.WithTimeout(ctx, a.Attempt/2) // so that there is time to connect without the name service
		ips, err := a.resolve(half, endpoint)
		cancel()
		if err == nil {
			return a.first(ctx, network, ips)
		}
	}
	addrs, err := a.resolve(ctx, addr)
	if err != nil {
		return nil, err
	}
	return a.first(ctx, network, addrs)
}

// resolve returns the addresses of a host:port in random order, so that each connection tries another one first.
func (a Access) resolve(ctx context.Context, addr string) ([]string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil || a.Lookup == nil && a.Dial != nil {
		return []string{addr}, nil
	}
	lookup := a.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs, nil
}

// first connects to all addresses, one after the other has failed or been silent for a moment, and returns the connection
// that is made first. One dead host behind a name must not cost the whole attempt.
func (a Access) first(ctx context.Context, network string, addrs []string) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome, len(addrs))
	dial := a.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	err := errors.New("the name has no address")
	for begun, ended := 0, 0; ended < len(addrs); {
		var more <-chan time.Time
		if begun < len(addrs) {
			go func(addr string) {
				conn, err := dial(ctx, network, addr)
				outcomes <- outcome{conn, err}
			}(addrs[begun])
			begun++
			more = time.After(stagger)
		}
		select {
		case o := <-outcomes:
			ended++
			if err = o.err; err == nil {
				go func() { // cancelled, but some may have been made
					for ; ended < begun; ended++ {
						if late := <-outcomes; late.conn != nil {
							late.conn.Close()
						}
					}
				}()
				return o.conn, nil
			}
		case <-more:
		}
	}
	return nil, err
}

// secure speaks TLS on a connection. The certificate must be for the node's host name or for the host that was asked for,
// unless the configuration says which name it has. It closes the connection if it fails.
func secure(ctx context.Context, conn net.Conn, config *tls.Config, hostname, host string) (net.Conn, error) {
	switch {
	case config.ServerName != "":
	case hostname == "" || hostname == host:
		config = config.Clone()
		config.ServerName = host
	default:
		config = config.Clone()
		config.ServerName = hostname
		config.InsecureSkipVerify = true // VerifyConnection does it
		config.VerifyConnection = func(s tls.ConnectionState) error { return verify(s, config.RootCAs, hostname, host) }
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// verify checks the certificate of a server as crypto/tls does, for either of two names.
func verify(s tls.ConnectionState, roots *x509.CertPool, name, other string) error {
	leaf, chain := s.PeerCertificates[0], x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: chain}); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	err := leaf.VerifyHostname(name)
	if err != nil && leaf.VerifyHostname(other) != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: fmt.Errorf("%w, nor for %s", err, other)}
	}
	return nil
}
