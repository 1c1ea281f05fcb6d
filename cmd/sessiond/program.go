package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/conns"
	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// A program is a running service.
type program struct {
	addr    net.Addr   // where it serves
	opsAddr net.Addr   // where it serves operations; nil without --ops-listen
	failed  chan error // receives an error if serving fails, one from each listener

	listener net.Listener
	ops      net.Listener  // nil without --ops-listen
	draining chan struct{} // closed when the program begins to stop

	cfg      serveCmd
	log      *slog.Logger
	metrics  *prometheus.Registry
	server   *http.Server
	opsHTTP  *http.Server // serves at ops; nil without it
	tls      *tls.Config  // nil for plain HTTP
	keys     *keys.Ring   // nil without a key file
	audit    *audit.Log   // nil without --audit-log
	stop     func()       // stops whatever has no close of its own
	store    *session.RedisStore
	cluster  *cluster.Client
	embedded io.Closer             // nil without --embedded
	tracing  *trace.TracerProvider // nil if tracing is off
}

// start returns once the program listens, so that a port in use is an error and not a log line. It does not wait for the
// cluster: requests succeed as soon as the cluster can be reached.
func start(cfg serveCmd, logTo io.Writer) (*program, error) {
	secretIDs, err := cfg.loadSecrets()
	if err != nil {
		return nil, err
	}
	who, err := cfg.access()
	if err != nil {
		return nil, err
	}
	limits, err := cfg.connections(descriptors())
	if err != nil {
		return nil, err
	}
	p := &program{
		cfg: cfg, log: newLogger(cfg, logTo), metrics: newRegistry(), keys: who.ring,
		failed: make(chan error, 2), draining: make(chan struct{}),
	}
	cluster.LogTo(p.log)
	if who.ring != nil {
		p.metrics.MustRegister(who.ring)
	}
	if p.tracing, err = newTracing(p.log); err != nil {
		return nil, err
	}
	if p.tls, err = cfg.TLS.server(p.log); err != nil {
		return nil, err
	}
	if p.audit, err = cfg.Audit.open(p.log, p.metrics); err != nil {
		return nil, err
	}
	if p.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, err
	}
	p.addr = p.listener.Addr()
	if err := p.listenForOps(); err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	if err := p.openStore(ctx); err != nil {
		return nil, errors.Join(err, p.closeListeners())
	}
	service, ops := p.newAPI(who)
	gate := conns.NewGate("service", limits, p.metrics)
	p.listener = gate.Listen(p.listener)
	p.server = p.newServer(service, gate)
	if p.ops != nil {
		gate := conns.NewGate("ops", opsLimits, p.metrics)
		p.ops = gate.Listen(p.ops)
		p.opsHTTP = p.newServer(ops, gate)
	}
	b := thisBuild()
	p.log.Info("serving", "addr", p.addr.String(), "version", b.version, "commit", b.commit)
	if len(secretIDs) > 0 {
		p.log.Info("IDs are mixed with secrets", "newest", secretIDs[0], "older", secretIDs[1:])
	}
	if cfg.KeyFile == "" {
		p.log.Warn("there is no authentication: whoever can reach the address may do everything", "addr", p.addr.String())
	} else if p.tls == nil && !loopback(cfg.Listen) {
		p.log.Warn("there is no TLS: API keys and session IDs cross the network in the clear, unless something in front speaks TLS", "addr", p.addr.String())
	}
	go p.serve(p.server, p.listener)
	if p.ops != nil {
		p.log.Info("serving metrics, cluster and page", "addr", p.opsAddr.String())
		go p.serve(p.opsHTTP, p.ops)
	}
	return p, nil
}

// listenForOps listens at --ops-listen, if that is given.
func (p *program) listenForOps() (err error) {
	if p.cfg.OpsListen == "" {
		return nil
	}
	if p.ops, err = net.Listen("tcp", p.cfg.OpsListen); err != nil {
		return fmt.Errorf("--ops-listen: %w", err)
	}
	p.opsAddr = p.ops.Addr()
	return nil
}

func (p *program) closeListeners() error {
	err := p.listener.Close()
	if p.ops != nil {
		err = errors.Join(err, p.ops.Close())
	}
	return err
}

// newRegistry returns a registry with the metrics of the process. Each part of the service adds its own.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(), thisBuild().metric(),
	)
	return r
}

// openStore opens the store on the cluster or on the embedded Redis. What it starts and does not close ends with the context.
func (p *program) openStore(ctx context.Context) error {
	var err error
	if p.cfg.Embedded {
		err = p.embed(p.metrics)
	} else {
		p.cluster, err = p.cfg.onCluster(ctx, p.log, p.metrics, permitTakeovers(p.audit))
	}
	if err != nil {
		return err
	}
	p.store = session.NewRedisStore(p.cluster, session.Options{Log: p.log, Metrics: p.metrics, Census: p.cfg.Census, Format: p.cfg.RecordFormat})
	return nil
}

func (p *program) newAPI(who access) (service, ops http.Handler) {
	return httpapi.New(httpapi.Config{
		Store:    p.store,
		Grant:    who.grant,
		GrantOf:  who.grantOf,
		Ready:    p.cluster.Ready,
		State:    p.cluster.Snapshot,
		Events:   p.cluster.Events(),
		Draining: p.draining,
		Deadline: p.cfg.RequestTimeout,
		Log:      p.log,
		Metrics:  p.metrics,

		OnlyProbes:    conns.OnlyProbes,
		Places:        p.cfg.SharedConcurrency,
		Hosts:         p.cfg.hosts(),
		SlowRequest:   p.cfg.SlowRequest,
		LogsPerSecond: p.cfg.LogRequests,
		Audit:         p.audit,
		Page:          p.cfg.Page,
		Profiles:      p.cfg.Pprof,
		Ops:           p.cfg.ops(),
		OpsHosts:      p.cfg.opsHosts(),
		Tracing:       p.tracer(),
	})
}

func (p *program) newServer(h http.Handler, gate *conns.Gate) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         p.tls.Clone(), // a server adds to its own
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      p.cfg.RequestTimeout + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         gate.Watch,
		ConnContext:       gate.Mark,
		ErrorLog:          stdlog.New(&serverLog{log: p.log}, "", 0),
	}
}

// serve returns when the server stops. If the program is not stopping, that is a failure.
func (p *program) serve(server *http.Server, at net.Listener) {
	serve := func() error { return server.Serve(at) }
	if p.tls != nil {
		serve = func() error { return server.ServeTLS(at, "", "") }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) && !p.isDraining() {
		p.failed <- err
	}
}

// reopen opens the audit log again, and reads the key file again, if there are such.
func (p *program) reopen() {
	if err := p.audit.Reopen(); err != nil {
		p.log.Error("the audit log cannot be opened again; going on with the current one", "error", err)
	}
	if p.keys != nil {
		p.reloadKeys()
	}
}

// reloadKeys reads the key file again. If it is invalid, the current keys stay in effect.
func (p *program) reloadKeys() {
	act, err := p.audit.Begin(audit.Entry{Action: audit.ReloadKeys, By: audit.Signal})
	if err != nil {
		p.log.Error("the key file is not read; keeping the current keys", "error", err)
		return
	}
	change, err := p.keys.Reload()
	act.EndWith(err, change.String())
	if err != nil {
		p.log.Error("the key file is invalid; keeping the current keys", "error", err)
		return
	}
	p.log.Info("key file reloaded", "change", change)
}

// drain lets callers leave, stops accepting connections, waits for the requests and touches in progress, and closes
// everything. While it drains, every answer closes its connection. If the server closed idle connections instead, a request
// that is already on its way would fail, and its caller could not tell whether it was applied.
func (p *program) drain() error {
	p.log.Info("stopping", "delay", p.cfg.DrainDelay)
	close(p.draining)
	p.leave(p.cfg.DrainDelay)
	// The first request on a new connection must not be cut off either, so wait again after the last connection was accepted.
	p.listener.Close()
	p.leave(p.cfg.DrainDelay / 4)
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ShutdownTimeout)
	defer cancel()
	err := errors.Join(stop(ctx, p.server), stop(ctx, p.opsHTTP)) // the metrics last
	return errors.Join(err, p.close(ctx))
}

// stop waits for the requests in progress at a server, if there is one. The listener may be closed already.
func stop(ctx context.Context, s *http.Server) error {
	if s == nil {
		return nil
	}
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("requests in progress were cut off: %w", err)
	}
	return nil
}

// leave gives callers time to leave, unless serving has already failed.
func (p *program) leave(limit time.Duration) {
	select {
	case <-time.After(limit):
	case <-p.failed:
	}
}

// isDraining reports whether the program is stopping.
func (p *program) isDraining() bool {
	select {
	case <-p.draining:
		return true
	default:
		return false
	}
}

// tracer returns what the API traces with; nil for no tracing.
func (p *program) tracer() oteltrace.TracerProvider {
	if p.tracing == nil {
		return nil // not an interface that holds a nil pointer
	}
	return p.tracing
}

func (p *program) close(ctx context.Context) error {
	p.stop()
	err := errors.Join(p.store.Close(ctx), p.cluster.Close())
	if p.tracing != nil {
		err = errors.Join(err, p.tracing.Shutdown(ctx))
	}
	if p.embedded != nil {
		err = errors.Join(err, p.embedded.Close())
	}
	return errors.Join(err, p.audit.Close())
}
