package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
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

	KeyFile         string        `placeholder:"FILE" help:"API keys and tenants; read again on SIGHUP. Without it there is one tenant and no authentication, and --listen must be a loopback address."`
	InsecureNoAuth  bool          `help:"Serve on other addresses than loopback without authentication."`
	Tenant          string        `default:"default" help:"Name of the one tenant without a key file (${default})."`
	DefaultIdleTTL  time.Duration `name:"default-idle-ttl" default:"30m" help:"Idle timeout of a session that asks for none (${default})."`
	DefaultMaxTTL   time.Duration `name:"default-max-ttl" default:"24h" help:"Absolute timeout of a session that asks for none (${default})."`
	TTLLimit        time.Duration `name:"ttl-limit" default:"720h" help:"Largest timeout that may be asked for (${default})."`
	SessionsPerUser int           `default:"100" help:"Sessions that one user may have at a time; 0 for any number (${default})."`
	OnLimit         string        `enum:"deny,evict-oldest" default:"evict-oldest" help:"What one session more does: deny or evict-oldest (${default})."`

	LogFormat string `enum:"text,json" default:"text" help:"text or json (${default})."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error (${default})."`
}

// Validate is called by kong.
func (s *serveCmd) Validate() error {
	if !s.Embedded && len(s.Redis.Redis) == 0 {
		return errors.New("name the nodes of the cluster with --redis, or use --embedded")
	}
	if r := s.Redis; s.Embedded && (len(r.Redis) > 0 || r.RedisUsername != "" || r.RedisPassword != "" || r.RedisTLS || r.RedisCAFile != "") {
		return errors.New("--embedded and --redis, with all that begins so, exclude each other")
	}
	if s.MaxBodyBytes <= 0 || s.RequestTimeout <= 0 || s.ShutdownTimeout <= 0 {
		return errors.New("--max-body-bytes, --request-timeout and --shutdown-timeout must be positive")
	}
	if s.KeyFile == "" && !s.InsecureNoAuth && !loopback(s.Listen) {
		return errors.New("--listen is not a loopback address: name a --key-file, or say --insecure-no-auth")
	}
	_, err := httpapi.NewGrant(s.Tenant, 0, s.limits())
	return err
}

// loopback reports whether only this host can reach the address. What cannot be parsed fails later, when it is listened on.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// limits are those of a tenant that has none of its own.
func (s *serveCmd) limits() httpapi.Limits {
	return httpapi.Limits{
		Policy: session.Policy{
			DefaultIdle: s.DefaultIdleTTL, DefaultMax: s.DefaultMaxTTL, TTLLimit: s.TTLLimit,
			MaxPerUser: s.SessionsPerUser, EvictOldest: httpapi.OnLimit(s.OnLimit).EvictsOldest(),
		},
		MaxBody: s.MaxBodyBytes,
	}
}

// access is who may do what: the bearers of the keys in the file, or everybody.
func (s *serveCmd) access() (grant func(bearer string) (httpapi.Grant, bool), reload func() error, err error) {
	if s.KeyFile != "" {
		ring, err := httpapi.LoadKeyring(s.KeyFile, s.limits())
		if err != nil {
			return nil, nil, fmt.Errorf("--key-file: %w", err)
		}
		return ring.Grant, ring.Reload, nil
	}
	everything, err := httpapi.NewGrant(s.Tenant, httpapi.Read|httpapi.Write|httpapi.Admin, s.limits())
	return func(string) (httpapi.Grant, bool) { return everything, true }, func() error { return nil }, err
}

// Run serves until the context ends, and then lets the requests under way finish.
func (s *serveCmd) Run(ctx context.Context, c console) error {
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
			p.reloadKeys()
		case <-ctx.Done():
			return p.drain()
		case err := <-p.failed:
			return errors.Join(err, p.drain())
		}
	}
}

// A program is a running service.
type program struct {
	addr   net.Addr   // where it serves
	failed chan error // receives at most one error, when serving ends by itself

	cfg      serveCmd
	log      *slog.Logger
	server   *http.Server
	reload   func() error // reads the key file again
	store    *session.RedisStore
	cluster  *cluster.Client
	embedded io.Closer // nil without --embedded
}

// start listens first and serves then, so that a taken port is an error and not a log line. It does not wait for the
// cluster: the service serves as soon as that is there.
func start(cfg serveCmd, logTo io.Writer) (*program, error) {
	grant, reload, err := cfg.access()
	if err != nil {
		return nil, err
	}
	p := &program{cfg: cfg, log: newLogger(cfg, logTo), failed: make(chan error, 1), reload: reload}
	cluster.LogTo(p.log)
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	if cfg.Embedded {
		err = p.embed()
	} else {
		p.cluster, err = cfg.Redis.client()
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.addr = listener.Addr()

	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
	p.store = session.NewRedisStore(p.cluster, session.Options{Log: p.log, Metrics: registry})
	p.server = &http.Server{
		Handler: httpapi.New(httpapi.Config{
			Store:    p.store,
			Grant:    grant,
			Look:     p.cluster.Look,
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

// reloadKeys reads the key file again; if it is broken, the keys stay as they are.
func (p *program) reloadKeys() {
	if err := p.reload(); err != nil {
		p.log.Error("the key file cannot be used; the keys stay as they were", "error", err)
		return
	}
	p.log.Info("the key file was read again")
}

// drain stops accepting, waits for the requests and touches under way, and closes everything.
func (p *program) drain() error {
	p.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ShutdownTimeout)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", err)
	}
	return errors.Join(err, p.close(ctx))
}

func (p *program) close(ctx context.Context) error {
	err := errors.Join(p.store.Close(ctx), p.cluster.Close())
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
