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
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

type serveCmd struct {
	Listen   string     `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	Embedded bool       `help:"Keep sessions in this process instead of a cluster, for trying the API and for tests."`
	Redis    redisFlags `embed:""`

	Durability     string        `enum:"async,replicated,strict" default:"replicated" help:"Copies that a write must have before it is acknowledged, where the request asks for nothing else: async (the master's), replicated or strict (${default})."`
	HedgeDelay     time.Duration `default:"40ms" help:"How long a read waits for its master before its replica is asked too (${default})."`
	WriteQueue     int           `default:"4096" help:"Writes under way to one shard at most, those that wait for a promotion included (${default})."`
	FailoverAssist time.Duration `placeholder:"DURATION" help:"Ask the replica of a master that has been silent for so long to take over, instead of waiting for the cluster-node-timeout; 0 leaves it to Redis."`

	RequestTimeout  time.Duration `default:"8s" help:"Deadline of a request (${default}): Redis alone needs up to 5 s to promote a replica."`
	ShutdownTimeout time.Duration `default:"10s" help:"How long requests under way may take after SIGTERM (${default})."`
	DrainDelay      time.Duration `default:"1s" help:"How long requests are still taken after SIGTERM, while /readyz says no and every answer closes its connection, so that callers leave by themselves (${default})."`
	MaxBodyBytes    int64         `default:"65536" help:"Limit of a request's body (${default})."`

	KeyFile         string        `placeholder:"FILE" help:"API keys and tenants; read again on SIGHUP. Without it there is one tenant and no authentication, and --listen must be a loopback address."`
	InsecureNoAuth  bool          `help:"Serve on other addresses than loopback without authentication."`
	Tenant          string        `default:"default" help:"Name of the one tenant without a key file (${default})."`
	DefaultIdleTTL  time.Duration `name:"default-idle-ttl" default:"30m" help:"Idle timeout of a session that asks for none (${default})."`
	DefaultMaxTTL   time.Duration `name:"default-max-ttl" default:"24h" help:"Absolute timeout of a session that asks for none (${default})."`
	TTLLimit        time.Duration `name:"ttl-limit" default:"720h" help:"Largest timeout that may be asked for (${default})."`
	SessionsPerUser int           `default:"100" help:"Sessions that one user may have at a time; 0 for any number (${default})."`
	OnLimit         string        `enum:"deny,evict-oldest" default:"evict-oldest" help:"What one session more does: deny or evict-oldest (${default})."`

	Page        bool          `default:"true" negatable:"" help:"Serve the live page at /; --no-page does not."`
	SlowRequest time.Duration `default:"250ms" help:"Log every request that takes so long, and every one that fails (${default})."`
	LogRequests int           `default:"10" help:"Log so many of the other requests in a second at most; negative for all (${default})."`
	Census      time.Duration `default:"30s" help:"How often to estimate the number of live sessions, from a sample of the keys; 0 for never (${default})."`
	LogFormat   string        `enum:"text,json" default:"text" help:"text or json (${default})."`
	LogLevel    string        `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error (${default})."`
}

// Validate is called by kong.
func (s *serveCmd) Validate() error {
	if !s.Embedded && len(s.Redis.Redis) == 0 {
		return errors.New("name the nodes of the cluster with --redis, or use --embedded")
	}
	if r := s.Redis; s.Embedded && (len(r.Redis) > 0 || r.RedisUsername != "" || r.RedisPassword != "" || r.RedisTLS || r.RedisCAFile != "") {
		return errors.New("--embedded and --redis, with all that begins so, exclude each other")
	}
	if s.DrainDelay < 0 || s.MaxBodyBytes <= 0 || s.RequestTimeout <= 0 || s.ShutdownTimeout <= 0 {
		return errors.New("--max-body-bytes, --request-timeout and --shutdown-timeout must be positive, and --drain-delay not negative")
	}
	if s.SlowRequest < 0 || s.Census < 0 {
		return errors.New("--slow-request and --census must not be negative")
	}
	if s.HedgeDelay < 0 || s.WriteQueue <= 0 || s.FailoverAssist < 0 {
		return errors.New("--hedge-delay and --failover-assist must not be negative, and --write-queue must be positive")
	}
	if s.FailoverAssist > 0 && s.FailoverAssist < minAssist {
		return fmt.Errorf("--failover-assist below %s would take a slow moment for a death", minAssist)
	}
	if s.KeyFile == "" && !s.InsecureNoAuth && !loopback(s.Listen) {
		return errors.New("--listen is not a loopback address: name a --key-file, or say --insecure-no-auth")
	}
	_, err := keys.NewGrant(s.Tenant, 0, s.limits())
	return err
}

// loopback reports whether only this host can reach the address. What cannot be parsed fails later, when it is listened on.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// limits are those of a tenant that has none of its own.
func (s *serveCmd) limits() keys.Limits {
	return keys.Limits{
		Policy: session.Policy{
			DefaultIdle: s.DefaultIdleTTL, DefaultMax: s.DefaultMaxTTL, TTLLimit: s.TTLLimit,
			MaxPerUser: s.SessionsPerUser, EvictOldest: keys.OnLimit(s.OnLimit) == keys.EvictOldest,
		},
		MaxBody: s.MaxBodyBytes,
	}
}

// access is who may do what: the bearers of the keys in the file, or everybody.
func (s *serveCmd) access() (grant func(bearer string) (keys.Grant, bool), reload func() error, err error) {
	if s.KeyFile != "" {
		ring, err := keys.Load(s.KeyFile, s.limits())
		if err != nil {
			return nil, nil, fmt.Errorf("--key-file: %w", err)
		}
		return ring.Grant, ring.Reload, nil
	}
	everything, err := keys.NewGrant(s.Tenant, keys.Read|keys.Write|keys.Admin, s.limits())
	return func(string) (keys.Grant, bool) { return everything, true }, func() error { return nil }, err
}

// minAssist is the least silence of a master that may be acted on.
const minAssist = 200 * time.Millisecond

// onCluster makes the client of a service, which looks at the cluster from now on.
func (s *serveCmd) onCluster(log *slog.Logger, metrics prometheus.Registerer) (*cluster.Client, error) {
	access, err := s.Redis.access()
	if err != nil {
		return nil, err
	}
	cfg := cluster.Config{Access: access, PoolSize: s.Redis.PoolSize}
	cfg.Durability, cfg.HedgeDelay, cfg.MaxWrites = cluster.Durability(s.Durability), s.HedgeDelay, s.WriteQueue
	cfg.FailoverAssist, cfg.Log, cfg.Metrics = s.FailoverAssist, log, metrics
	return cluster.New(cfg), nil
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

	listener net.Listener
	draining chan struct{} // closed when it stops

	cfg      serveCmd
	log      *slog.Logger
	server   *http.Server
	reload   func() error // reads the key file again
	store    *session.RedisStore
	cluster  *cluster.Client
	embedded io.Closer             // nil without --embedded
	tracing  *trace.TracerProvider // nil if tracing is off
}

// gcPercent is how much the heap may grow between two collections. What a request leaves behind is small and dies at once:
// the default of 100 collects many times a second, to save some megabytes.
const gcPercent = 400

// start listens first and serves then, so that a taken port is an error and not a log line. It does not wait for the
// cluster: the service serves as soon as that is there.
func start(cfg serveCmd, logTo io.Writer) (*program, error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	grant, reload, err := cfg.access()
	if err != nil {
		return nil, err
	}
	p := &program{cfg: cfg, log: newLogger(cfg, logTo), failed: make(chan error, 1), reload: reload}
	cluster.LogTo(p.log)
	if p.tracing, err = newTracing(p.log); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
	if cfg.Embedded {
		err = p.embed(registry)
	} else {
		p.cluster, err = cfg.onCluster(p.log, registry)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.addr, p.listener = listener.Addr(), listener

	p.store = session.NewRedisStore(p.cluster, session.Options{Log: p.log, Metrics: registry, Census: cfg.Census})
	p.draining = make(chan struct{})
	p.server = &http.Server{
		Handler: httpapi.New(httpapi.Config{
			Store:    p.store,
			Grant:    grant,
			Ready:    p.cluster.Ready,
			State:    p.cluster.Snapshot,
			Events:   p.cluster.Events(),
			Draining: p.draining,
			Deadline: cfg.RequestTimeout,
			Log:      p.log,
			Metrics:  registry,

			SlowRequest:   cfg.SlowRequest,
			LogsPerSecond: cfg.LogRequests,
			Page:          cfg.Page,
			Tracing:       p.tracer(),
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
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) && !p.isDraining() {
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

// drain has callers leave, stops accepting, waits for the requests and touches under way, and closes everything. A
// keep-alive connection that is closed while its next request is on its way fails that request, and nobody can tell
// whether it was applied; so the answers before close it.
func (p *program) drain() error {
	p.log.Info("stopping", "delay", p.cfg.DrainDelay)
	close(p.draining)
	p.leave(p.cfg.DrainDelay)
	// A new connection whose first request is on its way must not be cut off either: first there are no more of them.
	p.listener.Close()
	p.leave(p.cfg.DrainDelay / 4)
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ShutdownTimeout)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", err)
	}
	return errors.Join(err, p.close(ctx))
}

// leave waits for callers to leave, unless serving has ended by itself.
func (p *program) leave(limit time.Duration) {
	select {
	case <-time.After(limit):
	case <-p.failed:
	}
}

// isDraining reports whether the program is about to stop.
func (p *program) isDraining() bool {
	select {
	case <-p.draining:
		return true
	default:
		return false
	}
}

// tracer is what the API traces with.
func (p *program) tracer() oteltrace.TracerProvider {
	if p.tracing == nil {
		return nil // and not an interface that holds nil
	}
	return p.tracing
}

func (p *program) close(ctx context.Context) error {
	err := errors.Join(p.store.Close(ctx), p.cluster.Close())
	if p.tracing != nil {
		err = errors.Join(err, p.tracing.Shutdown(ctx))
	}
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
