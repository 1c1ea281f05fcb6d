package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// gauges collects what the watcher knows at the time of a scrape.
type gauges struct{ client *Client }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descEpoch    = describe("sessiond_cluster_epoch", "Highest configuration epoch in the adopted view.")
	descSlots    = describe("sessiond_cluster_slots", "Hash slots by state: covered, which means with a healthy master, or uncovered.", "state")
	descMasters  = describe("sessiond_cluster_masters", "Masters with slots, by VM.", "vm")
	descRole     = describe("sessiond_cluster_node_role", "1 for the current role of a node.", "node", "vm", "role")
	descHealth   = describe("sessiond_cluster_node_health", "1 for the health of a node as the cluster sees it.", "node", "vm", "health")
	descState    = describe("sessiond_redis_node_state", "1 for the state of a node as this instance sees it.", "node", "state")
	descBreaker  = describe("sessiond_redis_breaker_open", "1 while the circuit breaker of a node is open: its connections are closed, and no new ones are made.", "node")
	descLag      = describe("sessiond_cluster_replica_lag_bytes", "Bytes of the replication stream that a replica has yet to apply.", "node", "shard")
	descInStep   = describe("sessiond_cluster_replica_in_step", "1 if the replica is in step, so that it may answer for its master.", "node", "shard")
	descSilence  = describe("sessiond_redis_node_silence_seconds", "How long a node has owed this instance an answer; 0 if it owes none.", "node")
	descStalled  = describe("sessiond_shard_stalled_seconds", "How long writes to the shard could not be served; 0 while they can.", "shard")
	descWrites   = describe("sessiond_writes_in_flight", "Writes in flight to a shard, including those that wait for a promotion.", "shard")
	descQueue    = describe("sessiond_batch_waiting", "Commands that wait for a lane to a node, by kind.", "node", "kind")
	descPool     = describe("sessiond_redis_connections", "Connections for traffic to a node, by state.", "node", "state")
	descWaits    = describe("sessiond_redis_pool_waits_total", "Commands that had to wait for a connection to a node.", "node")
	descFindings = describe("sessiond_cluster_findings", "Nodes on which a check of their settings and permissions has found something, by what that does to the promise: breaks or weakens it, or cannot be told (unknown).", "check", "severity")
	descExpired  = describe("sessiond_redis_pool_timeouts_total", "Commands that got no connection to a node before the pool timeout.", "node")
)

// Describe implements [prometheus.Collector].
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descEpoch, descSlots, descMasters, descRole, descHealth, descState, descBreaker, descLag, descInStep,
		descSilence, descStalled, descWrites, descQueue, descPool, descWaits, descExpired, descFindings,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		kind := prometheus.GaugeValue
		if d == descWaits || d == descExpired {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	s := g.client.Snapshot()
	set(descEpoch, float64(s.Epoch))
	set(descSlots, float64(s.SlotsCovered), "covered")
	set(descSlots, float64(view.Slots-s.SlotsCovered), "uncovered")
	for vm, masters := range s.MastersPerVM {
		set(descMasters, float64(masters), vm)
	}
	for _, shard := range s.Shards {
		g.client.metrics.watch.Meet(shard.Name)
		set(descWrites, float64(shard.Writes), shard.Name)
		set(descStalled, shard.Stalled.Seconds(), shard.Name)
	}
	collectFindings(set, s)
	told := map[string]bool{}
	for _, n := range s.Nodes {
		name := n.Name()
		if !n.Reachable() || told[name] { // a node that was replaced can be listed twice until the others forget it
			continue
		}
		told[name] = true
		g.client.metrics.peer.Meet(name)
		set(descRole, 1, name, n.VM(), n.Role())
		set(descHealth, 1, name, n.VM(), string(n.Health))
		set(descState, 1, name, n.Seen)
		set(descSilence, n.Silence.Seconds(), name)
		set(descBreaker, oneIf(n.Seen == peer.Down.String()), name)
		if !n.Master {
			set(descInStep, oneIf(n.InStep), name, n.Shard)
			if n.Lag >= 0 {
				set(descLag, float64(n.Lag), name, n.Shard)
			}
		}
		collectConnections(set, name, g.client.peers.At(n.Addr).Stats())
	}
}

// collectFindings collects how many nodes each check has found something on, once there was an examination.
func collectFindings(set func(*prometheus.Desc, float64, ...string), s watch.Snapshot) {
	if s.Examined.IsZero() {
		return
	}
	type kind struct {
		check    string
		severity doctor.Severity
	}
	nodes := map[kind]map[string]bool{}
	for _, f := range s.Findings {
		k := kind{f.Check, f.Severity}
		if nodes[k] == nil {
			nodes[k] = map[string]bool{}
		}
		nodes[k][f.Node] = true
	}
	for _, c := range doctor.Checks {
		for _, severity := range doctor.Severities {
			set(descFindings, float64(len(nodes[kind{c.Name, severity}])), c.Name, string(severity))
		}
	}
}

func collectConnections(set func(*prometheus.Desc, float64, ...string), name string, s peer.Stats) {
	set(descQueue, float64(s.Reads), name, "read")
	set(descQueue, float64(s.Writes), name, "write")
	if s.Pool != nil {
		set(descPool, float64(s.Pool.IdleConns), name, "idle")
		set(descPool, float64(s.Pool.TotalConns)-float64(s.Pool.IdleConns), name, "busy")
		set(descWaits, float64(s.Pool.WaitCount), name)
		set(descExpired, float64(s.Pool.Timeouts), name)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
