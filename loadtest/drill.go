package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/loadtest/cluster"
	"github.com/sessiond/sessiond/loadtest/fault"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/outage"
	"github.com/sessiond/sessiond/loadtest/progress"
	"github.com/sessiond/sessiond/loadtest/report"
	"github.com/sessiond/sessiond/loadtest/stock"
)

// A drill is one run: prepare, load while things break, sweep, report.
type drill struct {
	*cli
	line      *progress.Line
	means     fault.Means
	control   *control // nil unless it is the target
	cluster   cluster.Client
	generator *load.Generator
	meter     *outage.Meter
	run       report.Run

	mu    sync.Mutex
	phase string // guarded by mu, as is the run's Events
}

// drill carries out the run and returns the exit status.
func (c *cli) drill(ctx context.Context, stdout io.Writer) (int, error) {
	d := &drill{cli: c, line: progress.New(stdout, progress.IsTerminal(stdout)), phase: "before"}
	defer d.line.End()
	d.run = report.Run{Scenario: c.name(), Options: c.options}
	defer d.close()
	if err := d.prepare(ctx); err != nil {
		return exitCannot, err
	}
	d.load(ctx)
	d.sweep()
	r := report.New(d.run, c.Limits)
	d.line.End()
	dir := c.Out
	if dir == "" {
		dir = filepath.Join("out", r.Scenario+"-"+r.Started.Format("20060102-150405"))
	}
	writeErr := writeReport(dir, r)
	fmt.Fprintln(stdout)
	if err := r.WriteSummary(stdout); err != nil || writeErr != nil {
		return exitCannot, errors.Join(writeErr, err)
	}
	fmt.Fprintf(stdout, "\nreport: %s\n", filepath.Join(dir, "report.html"))
	switch {
	case r.Broken():
		return exitExceeded, nil
	case slices.ContainsFunc(d.run.Faults, func(m fault.Made) bool { return m.Err != nil }):
		return exitCannot, errors.New("a fault could not be made, so the run proves nothing")
	}
	return exitFine, nil
}

// prepare starts the control if it is the target, asks for the shards, and creates the sessions.
func (d *drill) prepare(ctx context.Context) error {
	cfg, err := d.config()
	if err != nil {
		return err
	}
	if d.means, err = d.cli.means(); err != nil {
		return err
	}
	cfg.Targets = d.Target
	if len(cfg.Targets) == 0 {
		cfg.Targets = []string{"http://127.0.0.1:8080"}
	}
	if cfg.RootCAs, err = d.authorities(); err != nil {
		return err
	}
	d.cluster = cluster.Client{
		Instances: d.Cluster, Token: d.Token, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: cfg.RootCAs}}},
	}
	slotOf := func(r load.Result) uint16 { return r.Slot }
	if d.stock() {
		if d.control, err = startControl(stock.Config{Addrs: d.Redis, Username: d.RedisUsername, Password: d.RedisPassword}); err != nil {
			return err
		}
		cfg.Targets, cfg.Mix.Rotate, cfg.Mix.List = []string{d.control.url}, 0, 0
		slotOf = func(r load.Result) uint16 { return stock.Slot(r.Key) }
		d.run.Targets = []string{redisStock}
		d.run.Notes = append(d.run.Notes, "the control supports neither rotations nor lists, so both are left out; its CPU time counts as the load generator's")
	} else {
		d.run.Targets = cfg.Targets
		if len(d.Cluster) == 0 {
			d.cluster.Instances = cfg.Targets
		}
	}
	if d.run.Shards, err = d.cluster.Shards(ctx); err != nil {
		d.run.Notes = append(d.run.Notes, "the shards are unknown, so gaps are measured over all slots together: "+err.Error())
	}
	d.meter = outage.New(d.run.Shards, cfg.Rate)
	cfg.Observe = func(r load.Result) {
		r.Slot = slotOf(r)
		d.meter.Observe(r)
	}
	if d.generator, err = load.New(cfg); err != nil {
		return err
	}
	d.line.Status(time.Now(), fmt.Sprintf("creating %d sessions", d.Sessions))
	return d.generator.Prepare(ctx)
}

func (d *drill) close() {
	if d.generator != nil {
		d.generator.Close()
	}
	if d.control != nil {
		d.control.close()
	}
}

// load runs the load, the faults and the watching of the cluster.
func (d *drill) load(ctx context.Context) {
	limited, cancel := ctx, context.CancelFunc(func() {})
	used := cpuTime()
	d.run.Started = time.Now()
	if d.Duration > 0 {
		limited, cancel = context.WithDeadline(ctx, d.run.Started.Add(d.Duration))
	}
	defer cancel()
	d.meter.Begin(d.phase, d.run.Started)
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	var beside, watching sync.WaitGroup
	watching.Go(func() { d.cluster.Follow(following, d.run.Started, d.heard) })
	watching.Go(func() { d.tell(following) })
	beside.Go(func() { d.run.Faults, d.run.NotMade = fault.Run(limited, d.run.Started, d.Fault, d.means, d.began) })
	beside.Go(func() {
		<-limited.Done()
		d.run.Ended = time.Now()
		d.meter.End(d.run.Ended)
		d.run.CPU = cpuTime() - used
	})
	d.generator.Run(limited)
	cancel() // in case the generator ends first, by its own clock
	beside.Wait()
	stopFollowing()
	watching.Wait()
	d.run.Interrupted = ctx.Err() != nil
	d.run.Phases = d.meter.Phases()
}

// began is called when a fault begins.
func (d *drill) began(s fault.Step, at time.Time) {
	d.meter.Phase(s.Name(), at)
	d.mu.Lock()
	d.phase = s.Name()
	d.mu.Unlock()
	d.line.Say(fmt.Sprintf("%7s  %s", report.Millis(at.Sub(d.run.Started)), s.Name()))
}

// heard is called with each event of the cluster.
func (d *drill) heard(e cluster.Event) {
	d.mu.Lock()
	d.run.Events = append(d.run.Events, e)
	d.mu.Unlock()
	d.line.Say(fmt.Sprintf("%7s  %s: %s (%s)", report.Millis(e.Time.Sub(d.run.Started)), e.Type, e.Text, e.Instance))
}

// tell updates the status line every second.
func (d *drill) tell(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			d.mu.Lock()
			phase := d.phase
			d.mu.Unlock()
			d.line.Status(now, statusText(now.Sub(d.run.Started), phase, d.generator.Progress()))
		case <-ctx.Done():
			return
		}
	}
}

func statusText(elapsed time.Duration, phase string, p load.Progress) string {
	of := p.Latest
	return fmt.Sprintf("%7s  %d/s  p99 r %s w %s  failed %d  wrong %d  in flight %d  %s", elapsed.Round(time.Second), of.Reads.Count+of.Writes.Count,
		report.Millis(of.Reads.P99), report.Millis(of.Writes.P99), p.Failed, p.Violations, p.InFlight, phase)
}

// sweep reads every session back. A Ctrl-C that ended the load does not end the sweep; a second one ends the process.
func (d *drill) sweep() {
	d.line.Status(time.Now(), "reading all sessions back")
	ctx, cancel := context.WithTimeout(context.Background(), d.Sweep)
	defer cancel()
	d.run.Sweep = d.generator.Sweep(ctx)
	d.run.SweepCutOff = ctx.Err() != nil
	d.run.Load = d.generator.Report()
}
