package clustertest

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/sessiond/sessiond/internal/certtest"
)

// A cluster over TLS: the nodes speak nothing else, between each other too, and let nobody in without a certificate. They prefer
// to be called by their announced host names, and their certificate is for those and not for their addresses.

type overTLS struct {
	ca   *certtest.Authority
	pair certtest.Pair // of all nodes and clients
}

// OverTLS makes a cluster that speaks TLS and prefers host names.
func OverTLS(t testing.TB) Option {
	ca := certtest.New(t)
	var names []string
	for _, p := range append((layout{replicas: 2}).places(), fourth...) {
		names = append(names, p.hostname())
	}
	o := &overTLS{ca, ca.Issue(t, names...)}
	return func(r *Real) { r.tls = o }
}

// conf is added to redis.conf.
func (o *overTLS) conf() string {
	return `
port 0
tls-port 6379
tls-cluster yes
tls-replication yes
tls-auth-clients yes
tls-ca-cert-file /etc/sessiond/ca.pem
tls-cert-file /etc/sessiond/cert.pem
tls-key-file /etc/sessiond/key.pem
cluster-preferred-endpoint-type hostname
`
}

// files are those that the configuration names.
func (o *overTLS) files() (map[string]string, error) {
	files := map[string]string{"ca.pem": o.ca.File, "cert.pem": o.pair.CertFile, "key.pem": o.pair.KeyFile}
	for name, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[name] = string(text)
	}
	return files, nil
}

// client is the configuration of a client.
func (o *overTLS) client() *tls.Config {
	pair, err := tls.LoadX509KeyPair(o.pair.CertFile, o.pair.KeyFile)
	if err != nil {
		panic(err) // the files end with the test that made them
	}
	return &tls.Config{RootCAs: o.ca.Pool(), Certificates: []tls.Certificate{pair}}
}

// operator is the same with the name that the certificate has in any case.
func (o *overTLS) operator() *tls.Config {
	config := o.client()
	config.ServerName = masters[0].hostname()
	return config
}

// mounts gives the files to the container of a service, and args the flags that name them. Both are empty for plain TCP.
func (o *overTLS) mounts() (binds, args []string) {
	if o == nil {
		return nil, nil
	}
	return []string{o.ca.File + ":/ca.pem:ro", o.pair.CertFile + ":/cert.pem:ro", o.pair.KeyFile + ":/key.pem:ro"},
		[]string{"--redis-ca-file=/ca.pem", "--redis-cert-file=/cert.pem", "--redis-key-file=/key.pem"}
}

// aliases are the names of a container for the others on its network.
func (r *Real) aliases(name string) []string {
	aliases := []string{name}
	for _, p := range r.places() {
		if r.tls != nil && p.name == name {
			aliases = append(aliases, p.hostname())
		}
	}
	return aliases
}

// lookup is the name service of the test, to which the nodes' host names are known.
func (r *Real) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	for _, n := range r.nodes {
		if (place{n.name, n.vm}).hostname() == host {
			return []netip.Addr{n.ip}, nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// Connect is the dialler of the tests' own connections. It speaks TLS if the nodes do.
func (r *Real) Connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ips, err := r.lookup(ctx, host); err == nil {
			addr = net.JoinHostPort(ips[0].String(), port)
		}
	}
	conn, err := r.dial(ctx, network, addr)
	if err != nil || r.tls == nil {
		return conn, err
	}
	config := r.tls.client()
	config.InsecureSkipVerify = true // only the code under test verifies
	return tls.Client(conn, config), nil
}
