package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/admin"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// redisFlags say how to reach the cluster. Every command that does so has them.
type redisFlags struct {
	Redis                []string      `placeholder:"HOST:PORT" help:"Some nodes of the cluster; the others are discovered. A name is resolved anew for each connection, and all of its addresses are tried."`
	RedisUsername        string        `placeholder:"NAME" help:"Redis ACL user."`
	RedisUsernameFile    string        `placeholder:"FILE" help:"File with the Redis ACL user; read again when it changes."`
	RedisPassword        string        `placeholder:"PASSWORD" help:"Redis ACL password. Prefer --redis-password-file, or SESSIOND_REDIS_PASSWORD, which keeps it out of the process list."`
	RedisPasswordFile    string        `placeholder:"FILE" help:"File with the Redis ACL password; read again when it changes."`
	RedisPasswordCommand string        `placeholder:"COMMAND" help:"Command that prints the Redis ACL password, such as a token; it runs at start and every minute, without a shell."`
	RedisTLS             bool          `name:"redis-tls" help:"Connect with TLS."`
	RedisCAFile          string        `name:"redis-ca-file" placeholder:"FILE" help:"Trust these CA certificates (PEM) instead of the system's; read again when it changes; implies --redis-tls."`
	RedisCertFile        string        `placeholder:"FILE" help:"Show this client certificate (PEM); read again when it changes; implies --redis-tls."`
	RedisKeyFile         string        `placeholder:"FILE" help:"The private key of --redis-cert-file (PEM)."`
	RedisServerName      string        `placeholder:"NAME" help:"The name for which the certificates of all nodes are; without it, the name that a node announces, or its address. Implies --redis-tls."`
	AttemptTimeout       time.Duration `default:"1s" help:"Maximum time for one dial or one round trip to a node (${default})."`
	PoolSize             int           `default:"32" help:"Maximum number of connections per node (${default})."`

	RedisNodeTimeout time.Duration `placeholder:"DURATION" help:"The cluster-node-timeout of nodes that do not tell it, because CONFIG GET is denied."`

	VMMap map[string]string `name:"vm-map" placeholder:"HOST=VM" help:"The VM of a node, by its announced hostname, its address or its IP, where its hostname does not tell it: redis-1.vm1 is on vm1 (repeatable)."`

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
	if given(f.RedisPassword, f.RedisPasswordFile, f.RedisPasswordCommand) > 1 || given(f.RedisUsername, f.RedisUsernameFile) > 1 {
		return errors.New("only one of --redis-password, --redis-password-file and --redis-password-command, and of --redis-username and --redis-username-file")
	}
	if given(f.RedisCertFile, f.RedisKeyFile) == 1 {
		return errors.New("--redis-cert-file and --redis-key-file need each other")
	}
	if f.RedisNodeTimeout < 0 {
		return errors.New("--redis-node-timeout must not be negative")
	}
	for host, vm := range f.VMMap {
		if host == "" || vm == "" {
			return errors.New("--vm-map must be HOST=VM")
		}
	}
	return nil
}

// given counts the values that are set.
func given(values ...string) (n int) {
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

// any reports whether one of the flags that only a real cluster needs is set.
func (f *redisFlags) any() bool {
	return len(f.Redis) > 0 || f.tls() || f.RedisNodeTimeout != 0 ||
		given(f.RedisUsername, f.RedisUsernameFile, f.RedisPassword, f.RedisPasswordFile, f.RedisPasswordCommand) > 0
}

// tls reports whether Redis speaks TLS.
func (f *redisFlags) tls() bool {
	return f.RedisTLS || given(f.RedisCAFile, f.RedisCertFile, f.RedisServerName) > 0
}

// admin makes a client that looks after the cluster.
func (f *redisFlags) admin(ctx context.Context, c console) (*admin.Client, error) {
	access, err := f.access(ctx, slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	return admin.New(access), nil
}

// access is how to reach the cluster. It follows the files and the command until the context ends.
func (f *redisFlags) access(ctx context.Context, log *slog.Logger) (a peer.Access, err error) {
	if len(f.Redis) == 0 {
		return a, errors.New("--redis is required: name some nodes of the cluster")
	}
	a = peer.Access{Addrs: f.Redis, Attempt: f.AttemptTimeout, NodeTimeout: f.RedisNodeTimeout, VMs: f.VMMap, Dial: f.dial}
	if a.TLS, err = f.clientTLS(log); err != nil {
		return a, err
	}
	a.Credentials, err = f.credentials(ctx, log)
	return a, err
}

// credentials returns what gives each new connection its user and password.
func (f *redisFlags) credentials(ctx context.Context, log *slog.Logger) (_ func() (username, password string), err error) {
	username, password := func() string { return f.RedisUsername }, func() string { return f.RedisPassword }
	if f.RedisUsernameFile != "" {
		if username, err = inFile(log, "--redis-username-file", f.RedisUsernameFile); err != nil {
			return nil, err
		}
	}
	switch {
	case f.RedisPasswordFile != "":
		password, err = inFile(log, "--redis-password-file", f.RedisPasswordFile)
	case f.RedisPasswordCommand != "":
		password, err = printed(ctx, log, f.RedisPasswordCommand, commandInterval)
	}
	return func() (string, string) { return username(), password() }, err
}

// clientTLS returns what gives each new connection its configuration; nil for plain TCP.
func (f *redisFlags) clientTLS(log *slog.Logger) (func() *tls.Config, error) {
	if !f.tls() {
		return nil, nil
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.RedisServerName}
	if f.RedisCertFile != "" {
		pair, err := loadKeyPair(log, "--redis-cert-file", f.RedisCertFile, f.RedisKeyFile)
		if err != nil {
			return nil, err
		}
		base.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Get(), nil }
	}
	if f.RedisCAFile == "" {
		return func() *tls.Config { return base }, nil
	}
	authorities, err := loadPool(log, "--redis-ca-file", f.RedisCAFile)
	if err != nil {
		return nil, err
	}
	return func() *tls.Config {
		config := base.Clone()
		config.RootCAs = authorities.Get()
		return config
	}, nil
}
