package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/admin"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// redisFlags say how to reach the cluster. Every command that does so has them.
type redisFlags struct {
	Redis          []string      `placeholder:"HOST:PORT" help:"Some nodes of the cluster; the others are discovered."`
	RedisUsername  string        `placeholder:"NAME" help:"Redis ACL user."`
	RedisPassword  string        `placeholder:"PASSWORD" help:"Redis ACL password. Prefer SESSIOND_REDIS_PASSWORD, which keeps it out of the process list."`
	RedisTLS       bool          `name:"redis-tls" help:"Connect with TLS."`
	RedisCAFile    string        `name:"redis-ca-file" placeholder:"FILE" help:"Trust these CA certificates (PEM) instead of the system's; implies --redis-tls."`
	AttemptTimeout time.Duration `default:"1s" help:"Maximum time for one dial or one round trip to a node (${default})."`
	PoolSize       int           `default:"32" help:"Maximum number of connections per node (${default})."`

	// dial replaces the network's dialler in tests whose cluster announces addresses that cannot be reached.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Validate checks the values. kong calls it.
func (f *redisFlags) Validate() error {
	for _, addr := range f.Redis {
		if err := view.CheckAddr(addr); err != nil {
			return fmt.Errorf("--redis: %w", err)
		}
	}
	if f.AttemptTimeout <= 0 {
		return errors.New("--attempt-timeout must be positive")
	}
	if f.PoolSize <= 0 {
		return errors.New("--pool-size must be positive")
	}
	return nil
}

// admin makes a client that looks after the cluster.
func (f *redisFlags) admin() (*admin.Client, error) {
	access, err := f.access()
	if err != nil {
		return nil, err
	}
	return admin.New(access), nil
}

// access is how to reach the cluster.
func (f *redisFlags) access() (peer.Access, error) {
	if len(f.Redis) == 0 {
		return peer.Access{}, errors.New("--redis is required: name some nodes of the cluster")
	}
	cfg := peer.Access{Addrs: f.Redis, Username: f.RedisUsername, Password: f.RedisPassword, Attempt: f.AttemptTimeout, Dial: f.dial}
	if f.RedisTLS || f.RedisCAFile != "" {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.RedisCAFile != "" {
		pem, err := os.ReadFile(f.RedisCAFile)
		if err != nil {
			return cfg, fmt.Errorf("--redis-ca-file: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("--redis-ca-file: no certificate in %s", f.RedisCAFile)
		}
	}
	return cfg, nil
}
