package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/keys"
)

// Run serves until the context ends, and then lets the requests in progress finish. SIGHUP reloads the key file and opens the
// audit log again.
func (s *serveCmd) Run(ctx context.Context, c console) error {
	s.Audit.stdout = c.out
	p, err := start(*s, c.err)
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			p.reopen()
		case <-ctx.Done():
			return p.drain()
		case err := <-p.failed:
			return errors.Join(err, p.drain())
		}
	}
}

// loadSecrets reads the secret file, if there is one, and returns the ids of the secrets.
func (s *serveCmd) loadSecrets() (ids []string, err error) {
	if s.SecretFile == "" {
		return nil, nil
	}
	if s.secrets, ids, err = keys.LoadSecrets(s.SecretFile); err != nil {
		err = fmt.Errorf("--secret-file: %w", err)
	}
	return ids, err
}

// An access says who may do what: the bearers of the keys and certificates in the key file, or everybody without a file.
type access struct {
	grant   func(bearer string) (keys.Grant, bool)
	grantOf func(*x509.Certificate) (keys.Grant, bool) // nil without a key file
	ring    *keys.Ring                                 // nil without a key file
}

func (s *serveCmd) access() (access, error) {
	if s.KeyFile != "" {
		ring, err := keys.Load(s.KeyFile, s.limits())
		if err != nil {
			return access{}, fmt.Errorf("--key-file: %w", err)
		}
		return access{ring.Grant, ring.GrantCert, ring}, nil
	}
	everything, err := keys.NewGrant(s.Tenant, keys.Read|keys.Write|keys.Admin|keys.Ops, s.limits())
	return access{grant: func(string) (keys.Grant, bool) { return everything, true }}, err
}

// onCluster makes the client of a service, which watches the cluster from now on. Its credentials are followed until the
// context ends.
func (s *serveCmd) onCluster(ctx context.Context, log *slog.Logger, metrics prometheus.Registerer, permit watch.Permit) (*cluster.Client, error) {
	access, err := s.Redis.access(ctx, log)
	if err != nil {
		return nil, err
	}
	cfg := cluster.Config{Access: access, PoolSize: s.Redis.PoolSize}
	cfg.Durability, cfg.HedgeDelay, cfg.MaxWrites = cluster.Durability(s.Durability), s.HedgeDelay, s.WriteQueue
	cfg.FailoverAssist, cfg.Permit, cfg.Log, cfg.Metrics = s.FailoverAssist, permit, log, metrics
	cfg.Examine, cfg.Deadline = examineEvery, s.RequestTimeout
	return cluster.New(cfg), nil
}

// examineEvery is the time between two examinations of the nodes' settings, which may change at run time. A change of the
// cluster causes one too.
const examineEvery = 5 * time.Minute

func newLogger(cfg serveCmd, to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo // a zero serveCmd, in a test
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
