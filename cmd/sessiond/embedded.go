package main

import (
	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// embedded is a Redis that runs in this process.
type embedded struct{ *miniredis.Miniredis }

func (e embedded) Close() error {
	e.Miniredis.Close()
	return nil
}

// embed starts the embedded Redis. Its keys expire in real time.
func (p *program) embed(metrics prometheus.Registerer) error {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return err
	}
	m.ClockTTL(true)
	p.embedded = embedded{m}
	p.cluster = cluster.New(cluster.Config{
		Access:   peer.Access{Addrs: []string{m.Addr()}, Attempt: p.cfg.Redis.AttemptTimeout},
		PoolSize: p.cfg.Redis.PoolSize, Log: p.log, Metrics: metrics,
	})
	p.log.Warn("the embedded store is for evaluation and tests, not for production: it keeps sessions in the memory of " +
		"this process, without replicas or failover, and loses them when the process stops")
	return nil
}
