package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/session"
)

type serveCmd struct {
	Listen   string     `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	Embedded bool       `help:"Keep sessions in this process instead of a cluster, for trying the API and for tests."`
	Redis    redisFlags `embed:""`

	RequestTimeout  time.Duration `default:"8s" help:"Deadline of a request (${default}): Redis alone needs up to 5 s to promote a replica."`
	ShutdownTimeout time.Duration `default:"10s" help:"How long requests under way may take after SIGTERM (${default})."`
	MaxBodyBytes    int64         `default:"65536" help:"Limit of a request's body (${default})."`

	Tenant         string        `default:"default" help:"Name that keeps these sessions apart from others in the same cluster (${default})."`
	DefaultIdleTTL time.Duration `name:"default-idle-ttl" default:"30m" help:"Idle timeout of a session that asks for none (${default})."`
	DefaultMaxTTL  time.Duration `name:"default-max-ttl" default:"24h" help:"Absolute timeout of a session that asks for none (${default})."`
	TTLLimit       time.Duration `name:"ttl-limit" default:"720h" help:"Largest timeout that may be asked for (${default})."`

	LogFormat string `enum:"text,json" default:"text" help:"text or json (${default})."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error (${default})."`
}

// Validate is called by kong.
func (s *serveCmd) Validate() error {
	if !s.Embedded && len(s.Redis.Redis) == 0 {
		return errors.New("name the nodes of the cluster with --redis, or use --embedded")
	}
	if s.Embedded && len(s.Redis.Redis) > 0 {
		return errors.New("--embedded and --redis exclude each other")
	}
	if s.MaxBodyBytes <= 0 || s.RequestTimeout <= 0 || s.ShutdownTimeout <= 0 {
		return errors.New("--max-body-bytes, --request-timeout and --shutdown-timeout must be positive")
	}
	_, err := s.tenant()
	return err
}

func (s *serveCmd) tenant() (*session.Tenant, error) {
	return session.NewTenant(s.Tenant, session.TTLPolicy{DefaultIdle: s.DefaultIdleTTL, DefaultMax: s.DefaultMaxTTL, Limit: s.TTLLimit})
}

// Run serves until the context ends, and then lets the requests under way finish.
func (s *serveCmd) Run(ctx context.Context, c console) error {
	p, err := start(*s, c.err)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return p.drain()
	case err := <-p.failed:
		return errors.Join(err, p.drain())
	}
}

// A program is a running service.
type program struct {
	addr   net.Addr   // where it serves
	failed chan error // receives at most one error, when serving ends by itself

	cfg      serveCmd
	log      *slog.Logger
	server   *http.Server
	cluster  *cluster.Client
	embedded io.Closer // nil without --embedded
}

// start listens first and serves then, so that a taken port is an error and not a log line. It does not wait for the
// cluster: the service serves as soon as that is there.
func start(cfg serveCmd, logTo io.Writer) (*program, error) {
	tenant, err := cfg.tenant()
	if err != nil {
		return nil, err
	}
	p := &program{cfg: cfg, log: newLogger(cfg, logTo), failed: make(chan error, 1)}
	cluster.LogTo(p.log)
	if cfg.Embedded {
		err = p.embed()
	} else {
		p.cluster, err = cfg.Redis.client()
	}
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.addr = listener.Addr()

	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
	p.server = &http.Server{
		Handler: httpapi.New(httpapi.Config{
			Store:    session.NewRedisStore(p.cluster),
			Tenant:   tenant,
			Look:     p.cluster.Look,
			MaxBody:  cfg.MaxBodyBytes,
			Deadline: cfg.RequestTimeout,
			Log:      p.log,
			Metrics:  registry,
		}),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      cfg.RequestTimeout + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	p.log.Info("serving", "addr", p.addr.String(), "version", version())
	go func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- err
		}
	}()
	return p, nil
}

// drain stops accepting, waits for the requests under way, and closes everything.
func (p *program) drain() error {
	p.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ShutdownTimeout)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", err)
	}
	return errors.Join(err, p.close())
}

func (p *program) close() error {
	err := p.cluster.Close()
	if p.embedded != nil {
		err = errors.Join(err, p.embedded.Close())
	}
	return err
}

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
