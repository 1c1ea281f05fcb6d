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
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// A program is a running service.
type program struct {
	addr   net.Addr   // where it serves
	failed chan error // receives at most one error, when serving ends by itself

	listener net.Listener
	draining chan struct{} // closed when it stops

	cfg      serveCmd
	log      *slog.Logger
	metrics  *prometheus.Registry
	server   *http.Server
	reload   func() error // reads the key file again
	store    *session.RedisStore
	cluster  *cluster.Client
	embedded io.Closer             // nil without --embedded
	tracing  *trace.TracerProvider // nil if tracing is off
}

// start listens first and serves then, so that a taken port is an error and not a log line. It does not wait for the
// cluster: requests succeed as soon as the cluster can be reached.
func start(cfg serveCmd, logTo io.Writer) (*program, error) {
	grant, reload, err := cfg.access()
	if err != nil {
		return nil, err
	}
	p := &program{
		cfg: cfg, log: newLogger(cfg, logTo), metrics: newRegistry(), reload: reload,
		failed: make(chan error, 1), draining: make(chan struct{}),
	}
	cluster.LogTo(p.log)
	if p.tracing, err = newTracing(p.log); err != nil {
		return nil, err
	}
	if p.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, err
	}
	p.addr = p.listener.Addr()
	if err := p.openStore(); err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	p.server = p.newServer(p.newAPI(grant))
	b := thisBuild()
	p.log.Info("serving", "addr", p.addr.String(), "version", b.version, "commit", b.commit)
	go p.serve()
	return p, nil
}

// newRegistry holds the metrics of the process; each part of the service adds its own.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(), thisBuild().metric(),
	)
	return r
}

// openStore makes the store, on the cluster or on the embedded Redis.
func (p *program) openStore() error {
	var err error
	if p.cfg.Embedded {
		err = p.embed(p.metrics)
	} else {
		p.cluster, err = p.cfg.onCluster(p.log, p.metrics)
	}
	if err != nil {
		return err
	}
	p.store = session.NewRedisStore(p.cluster, session.Options{Log: p.log, Metrics: p.metrics, Census: p.cfg.Census})
	return nil
}

func (p *program) newAPI(grant func(bearer string) (keys.Grant, bool)) http.Handler {
	return httpapi.New(httpapi.Config{
		Store:    p.store,
		Grant:    grant,
		Ready:    p.cluster.Ready,
		State:    p.cluster.Snapshot,
		Events:   p.cluster.Events(),
		Draining: p.draining,
		Deadline: p.cfg.RequestTimeout,
		Log:      p.log,
		Metrics:  p.metrics,

		SlowRequest:   p.cfg.SlowRequest,
		LogsPerSecond: p.cfg.LogRequests,
		Page:          p.cfg.Page,
		Tracing:       p.tracer(),
	})
}

func (p *program) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      p.cfg.RequestTimeout + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
}

// serve returns when the listener is closed. Nobody else's closing it is a failure of the program.
func (p *program) serve() {
	if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) && !p.isDraining() {
		p.failed <- err
	}
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
