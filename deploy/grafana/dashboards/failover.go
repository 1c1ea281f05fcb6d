package dashboards

// failover is the dashboard to look at while a VM dies. It shows the last quarter of an hour, by the second.
func failover() Dashboard {
	d := newDashboard("failover", "Failover",
		"How callers, nodes and waiting writes fare when a VM dies. Kill one with `make vm-kill VM=2` and watch.",
		row("Summary", append([]Panel{guide()}, promises()...)...),
		row("What callers see", callers()...),
		row("The nodes", nodes()...),
		row("The cluster", theCluster()...),
		row("Write gaps", gap()...),
		row("How the service copes", survival()...),
	)
	d.Refresh, d.Time = "5s", TimeRange{From: "now-15m", To: "now"}
	d.Annotations.List = append(d.Annotations.List, marks()...)
	return d.every("1s")
}

func guide() Panel {
	return text("How to read this",
		"What the death of a VM looks like here, from the first sign to the end.",
		"A VM dies: two nodes become **suspect**, then **down**. One shard has lost its master: its reads go to the replica at once, and its writes wait. "+
			"The replica is **promoted**, the epoch rises, and the writes go on: *Calls by status* shows a dip and no red. Another shard has lost its replica: "+
			"its writes are acknowledged with one copy (**single**). When the VM is back, `make cluster-rebalance` gives every VM one master again. "+
			"Marks: blue for a new epoch, red for trouble, purple for a promotion, green for recovery. What to do about an alert: `docs/runbook.md`.",
	).sized(24, 3)
}

// marks are moments. Both instances tell of most events, so the larger growth counts, not the sum.
func marks() []Annotation {
	events := func(types string) string {
		return `max by (type) (increase(sessiond_events_total{$, type=~"` + types + `"}[$__rate_interval])) > 0`
	}
	return []Annotation{
		annotation("Epoch", "blue", `max(changes(sessiond_cluster_epoch{$}[$__rate_interval])) > 0`, "new epoch"),
		annotation("Trouble", "red", events("node-down|node-failed|slots-uncovered|writes-stalled"), "{{type}}"),
		annotation("Promotion", "purple", events("promoted|failover-asked|failover-forced"), "{{type}}"),
		annotation("Recovery", "green", events("node-up|slots-covered|writes-resumed|rebalanced"), "{{type}}"),
	}
}

func promises() []Panel {
	total := `sum(increase(sessiond_http_requests_total{$, ` + calls + `}[$__range]))`
	bad := `(sum(increase(sessiond_http_requests_total{$, ` + calls + `, ` + failed + `}[$__range])) or vector(0))`
	return []Panel{
		stat("Availability", unitFraction,
			"Share of calls in the time range that were not answered with 5xx. The objective is 99.9 %. Normal: 100 %. When a VM dies: 100 %, because reads go on and writes wait.",
			once(`1 - `+bad+` / (`+total+` > 0)`, "availability"),
		).decimals(3).thresholds("red", from(0.999, "green")).whenEmpty("no calls"),
		stat("Error budget left", unitFraction,
			"What remains of the 0.1 % of calls that may fail within 30 days, over all instances. Normal: near 100 %. Below 0 the objective is missed: put reliability before features.",
			once(`1 - sessiond:api_errors:ratio_rate30d / 0.001`, "budget"),
		).decimals(1).thresholds("red", from(0, "orange"), from(0.25, "green")).whenEmpty("no calls"),
		stat("Failed calls", unitShort,
			"Calls answered with 5xx in the time range. Normal: 0. When a VM dies: 0. *Errors by type* shows which.",
			once(bad, "failed"),
		).decimals(0).thresholds("green", from(0.5, "red")),
		stat("Calls", unitRequests,
			"API calls per second, without /metrics, /readyz and the like. When a VM dies: fewer answers while writes wait, then as before.",
			query(`sum(rate(sessiond_http_requests_total{$, `+calls+`}[$__rate_interval]))`, "calls"),
		).decimals(0),
		stat("Reads, p99", unitSeconds,
			"99 % of reads are answered within this time. The objective is 100 ms. When a VM dies: a peak a little above the hedge delay of 40 ms.",
			query(quantile("0.99", "le", latency+`{$, `+reads+`}`), "p99"),
		).thresholds("green", from(0.1, "orange"), from(0.5, "red")).whenEmpty("no reads"),
		stat("Slots covered", unitFraction,
			"Share of the 16384 hash slots with a healthy master, as seen by the instance that sees the fewest. Normal: 100 %. When a VM dies: 66.7 % until the replica is promoted.",
			query(`min(sessiond_cluster_slots{$, state="covered"}) / 16384`, "covered"),
		).decimals(1).thresholds("red", from(1, "green")),
		stat("Longest write gap", unitSeconds,
			"The longest time for which writes to one shard waited, within the time range, sampled every second. Normal: 0. When a VM dies: 1 s with assisted failover, up to 5 s without.",
			once(`max(max_over_time(sessiond_shard_stalled_seconds{$}[$__range]))`, "gap"),
		).thresholds("green", from(1.5, "orange"), from(6, "red")),
		stat("Promotions", unitShort,
			"Replicas that became master in the time range, including planned promotions: one for a kill, and another for the rebalance after the VM has returned.",
			once(`max(round(increase(sessiond_events_total{$, type="promoted"}[$__range])))`, "promotions"),
		).decimals(0).thresholds("green", from(1, "purple")),
	}
}

func callers() []Panel {
	return []Panel{
		timeseries("Calls by status", unitRequests,
			"Answers per second by HTTP status. 499 means that the caller hung up. Normal: 2xx, and 404 for sessions that are gone. When a VM dies: a short dip while writes wait, then all their answers at once; no red.",
			query(rate("code", `sessiond_http_requests_total{$, `+calls+`}`), "{{code}}"),
		).sized(12, 8).stacked().colored("2..", "green").colored("3..", "blue").colored("4..", "yellow").colored("499", "text").colored("5..", "red"),
		timeseries("Errors by type", unitPerSec,
			"Problem documents per second that report a failure of the service. `unavailable` and `overloaded` promise that nothing was applied; `outcome-unknown` means that it may have been. Normal, and when a VM dies: flat at 0.",
			query(rate("kind", `sessiond_problems_total{$, kind=~"internal|unavailable|overloaded|outcome-unknown|store-full"}`), "{{kind}}"),
		).sized(12, 8).colored("internal", "dark-red").colored("outcome-unknown", "purple"),
		heatmap("Latency of calls", unitSeconds,
			"How long calls take; darker means more calls. Normal: a band at a few milliseconds. When a VM dies: a second band at about 40 ms for reads that asked the replica, and a few cells up to the length of the gap for writes that waited.",
			latency+`{$, `+calls+`}`,
		).sized(12, 9),
		timeseries("Latency of reads", unitSeconds,
			"Reads of one session. The dashed line is the objective for p99, 100 ms. When a VM dies: p99 rises briefly to the hedge delay.",
			quantiles(latency+`{$, `+reads+`}`)...,
		).sized(12, 9).logarithmic().thresholds("green", from(0.1, "red")),
		timeseries("Latency of writes", unitSeconds,
			"Calls that change something. Normal: a few milliseconds, because a replica must have the change too. When a VM dies: p99 rises to the length of the gap for the shard that lost its master, and to 0.4 s for the one that lost its replica.",
			quantiles(latency+`{$, `+writes+`}`)...,
		).sized(12, 8).logarithmic(),
		timeseries("Burn rate", unitNone,
			"How fast the error budget is spent, over three windows: at 1 it lasts exactly 30 days, at 14.4 it is gone in two. Above the dashed line somebody is paged. Normal, and when a VM dies: 0.",
			query(`sessiond:api_errors:ratio_rate5m / 0.001`, "5 minutes"),
			query(`sessiond:api_errors:ratio_rate1h / 0.001`, "1 hour"),
			query(`sessiond:api_errors:ratio_rate6h / 0.001`, "6 hours"),
		).sized(12, 8).thresholds("green", from(14.4, "red")),
	}
}

// worst is what a node is at the moment: the instance with the worst view counts.
const worst = `max by (node) (
    5 * sessiond_redis_node_state{$, state="down"}
  or on (instance, node)
    4 * sessiond_redis_node_state{$, state="suspect"}
  or on (instance, node)
    3 + (sessiond_cluster_replica_in_step{$} == 0)
  or on (instance, node)
    2 * sessiond_cluster_node_role{$, role="master"}
  or on (instance, node)
    sessiond_cluster_node_role{$, role="replica"}
)`

const said = `max by (node) (
    2 * sessiond_cluster_node_health{$, health="failed"}
  or on (instance, node)
    sessiond_cluster_node_health{$, health="suspected"}
  or on (instance, node)
    0 * sessiond_cluster_node_health{$, health="ok"}
  or on (instance, node)
    3 * sessiond_cluster_node_health{$}
)`

func nodes() []Panel {
	return []Panel{
		timeline("Role and state of each node",
			"How the service sees each node; if instances differ, the worst state is shown. When a VM dies: two nodes become suspect within 0.1 s and down after 0.3 s, then a replica becomes master. A node that returns is a replica that catches up.",
			query(worst, "{{node}}"),
		).sized(14, 9).mapped(
			word("unknown", "text"), word("replica", "blue"), word("master", "green"), word("catching up", "yellow"), word("suspect", "orange"), word("down", "red"),
		),
		timeline("State according to the cluster",
			"How the nodes see each other, which takes them the node timeout of 2 s. Normal: ok. When a VM dies: failed after 2 to 3 s. Suspected means that no majority agrees yet.",
			query(said, "{{node}}"),
		).sized(10, 9).mapped(word("ok", "green"), word("suspected", "orange"), word("failed", "red"), word("joining", "text")),
		table("Nodes now",
			"Every node with its VM, its role, its state as the service sees it, and its health according to the cluster. A node is listed twice while two instances see it differently, which should pass within seconds.",
			`max by (vm, node, role, state, health) (
  sessiond_cluster_node_role{$}
    * on (instance, node) group_left (state) sessiond_redis_node_state{$}
    * on (instance, node) group_left (health) sessiond_cluster_node_health{$}
)`, "vm", "node", "role", "state", "health",
		).sized(10, 8),
		timeseries("Silence", unitSeconds,
			"How long a node has owed an answer; if instances differ, the longest time is shown. Normal: below 50 ms. When a VM dies: two lines that climb until the VM is back. Above the dashed line a node counts as down.",
			query(`max by (node) (sessiond_redis_node_silence_seconds{$})`, "{{node}}"),
		).sized(7, 8).thresholds("green", from(0.3, "red")),
		timeline("Breaker",
			"Closed while connections to a node are made; open while they are refused at once because it is down, so that nothing hangs on it. Normal: closed. When a VM dies: open for the VM's two nodes until they answer again.",
			query(`max by (node) (sessiond_redis_breaker_open{$})`, "{{node}}"),
		).sized(7, 8).mapped(word("closed", "green"), word("open", "red")),
	}
}

func theCluster() []Panel {
	return []Panel{
		timeseries("Slots", unitNone,
			"Hash slots with and without a healthy master, as seen by the instance with the worst view. Normal: 16384 and 0. When a VM dies: a third is uncovered until the promotion.",
			query(`min(sessiond_cluster_slots{$, state="covered"})`, "covered"),
			query(`max(sessiond_cluster_slots{$, state="uncovered"})`, "uncovered"),
		).stepped().bounded(0, 16384).colored("covered", "green").colored("uncovered", "red"),
		timeseries("Epoch", unitNone,
			"The highest configuration epoch that each instance knows. Every promotion raises it, and marks on all panels show when. Instances that differ for longer than a second do not see the same cluster.",
			query(`max by (instance) (sessiond_cluster_epoch{$})`, "{{instance}}"),
		).stepped(),
		timeseries("Masters per VM", unitNone,
			"Masters with slots on each VM. Normal: one each. When a VM dies: 0 on the dead VM and 2 on another, and losing that one would lose the majority. Once all VMs are back: `make cluster-rebalance`.",
			query(`max by (vm) (sessiond_cluster_masters{$})`, "{{vm}}"),
		).stepped().thresholds("green", from(2, "red")),
		timeline("Replicas in step",
			"How many replicas of each shard have every acknowledged write. Normal: 1. When a VM dies: 0 for the shard that lost its replica, and for the one whose replica was promoted. While it is 0, losing that master loses the shard.",
			query(`shard:sessiond_replicas_in_step:max`, "shard {{shard}}"),
		).mapped(word("none", "red"), word("1", "green"), word("2", "green"), word("3", "green")),
		timeseries("Replication lag", unitBytes,
			"Bytes of its master's stream that a replica has not applied yet. Normal: near 0, a few kilobytes under load. When a VM dies: no line for dead nodes; a replica that returns starts high and falls to 0 within seconds.",
			query(`max by (node, shard) (sessiond_cluster_replica_lag_bytes{$})`, "{{node}}"),
		),
		timeseries("Writes under way", unitShort,
			"Writes under way to each shard, including those that wait for a promotion. Normal: few. When a VM dies: a peak of the write rate times the length of the gap. Beyond `--write-queue`, 4096, writes are refused as overloaded.",
			query(`sum by (shard) (sessiond_writes_in_flight{$})`, "shard {{shard}}"),
		),
	}
}

func gap() []Panel {
	return []Panel{
		timeseries("Writes stalled", unitSeconds,
			"How long the writes to a shard have been waiting, sampled every second. Normal: 0. When a VM dies: a saw tooth as high as the gap, for the shard that lost its master. With assisted failover it stays below the dashed line.",
			query(`max by (shard) (sessiond_shard_stalled_seconds{$})`, "shard {{shard}}"),
		).thresholds("green", from(1.5, "red")),
		stat("Longest write gap per shard", unitSeconds,
			"The longest time for which writes to the shard waited, within the time range. It is sampled every second, so a gap of half a second may be missed or shown too short; *Failover duration* has the exact times.",
			once(`max by (shard) (max_over_time(sessiond_shard_stalled_seconds{$}[$__range]))`, "shard {{shard}}"),
		).sized(8, 8).thresholds("green", from(1.5, "orange"), from(6, "red")),
		stat("Failover duration", unitSeconds,
			"Time from the first write that failed to the first that succeeded after the promotion: the mean over each shard's failovers since the instance started. With assisted failover below 1 s, without it 4 to 5 s. Empty before the first failover.",
			once(`max by (shard) (sessiond_failover_duration_seconds_sum{$} / sessiond_failover_duration_seconds_count{$})`, "shard {{shard}}"),
		).sized(8, 8).thresholds("green", from(1.5, "orange"), from(6, "red")).whenEmpty("none yet").shownByFailover(),
		timeseries("Events", unitShort,
			"Events of the timeline by type; the height is roughly their number, on the instance that reports the most. Normal: none. When a VM dies: suspect, stalled, down, asked, promoted, adopted, resumed, and failed 2 s later. `/v1/cluster/events` has the details.",
			query(orNone(`max by (type) (increase(sessiond_events_total{$}[$__rate_interval])) > 0`, "type"), "{{type}}"),
		).sized(16, 8).bars().shownByFailover(),
		stat("Replicas asked to take over", unitShort,
			"How often instances asked a replica to take over, within the time range: by agreement with its master (plain), and by election (force) if the master did not answer. When a VM dies: one of each. While nothing is broken, each one is a false alarm: raise `--failover-assist`.",
			once(`sum by (step) (round(increase(sessiond_failover_assists_total{$}[$__range])))`, "{{step}}"),
		).sized(8, 8).decimals(0).thresholds("green", from(1, "purple")),
	}
}

func survival() []Panel {
	return []Panel{
		timeseries("Reads by source", unitPerSec,
			"Who answered the reads. Normal: masters. When a VM dies: a third of the reads moves to a replica, until it is promoted and answers as a master.",
			query(rate("source", `sessiond_reads_total{$}`), "{{source}}"),
		).stacked(),
		timeseries("Reads that asked the replica", unitPerSec,
			"By reason: the master was slow, was suspect, or failed; denied means that the budget of one read in ten was used up. Normal: almost none. When a VM dies: slow for a moment, then suspect until the promotion.",
			query(rate("reason", `sessiond_hedges_total{$}`), "{{reason}}"),
		),
		timeseries("Retries", unitPerSec,
			"Rounds that reads and writes took after their first one. Normal: almost none. When a VM dies: a peak of writes that wait, because each of them tries again when something changes.",
			query(rate("kind", `sessiond_retries_total{$}`), "{{kind}}"),
		),
		timeseries("Durability achieved", unitPerSec,
			"Acknowledged writes by what they achieved: a replica has them (replicated), one copy because the shard has no replica (single), or one copy because the call asked for no more (async: touches). When a VM dies: single for two shards of three until the VM is back.",
			query(rate("durability", `sessiond_writes_total{$}`), "{{durability}}"),
		).stacked().colored("replicated", "green").colored("single", "orange").colored("async", "blue"),
		timeseries("Unknown outcomes", unitPerSec,
			"Writes that ended without a known outcome: the caller got 503 `outcome-unknown`. Normal, and when a VM dies: 0. They occur if no master is promoted within the request's deadline, or if this instance is cut off.",
			query(`sum(rate(sessiond_unknown_outcomes_total{$}[$__rate_interval]))`, "unknown"),
		).thresholds("green", from(0.001, "red")),
		timeseries("Redirects by kind", unitPerSec,
			"Answers of a node that send a command to another node (moved, ask) or ask to try later (tryagain, clusterdown, loading, readonly). Normal: none. When a VM dies: few, because the promotion is known before a wrong node is asked. Resharding causes moved and ask.",
			query(orNone(rate("kind", `sessiond_redis_redirects_total{$}`), "kind"), "{{kind}}"),
		),
		timeseries("Attempts by node", unitPerSec,
			"Commands sent to each node, including replicas; a write is one script call, plus one WAIT for its whole group. Normal: level. When a VM dies: two lines end, and the promoted replica takes over its master's load.",
			query(rate("node", `sessiond_redis_attempts_total{$}`), "{{node}}"),
		),
		timeseries("Failed attempts", unitPerSec,
			"By node and outcome: timeout, io (the connection broke), dial, breaker (refused at once), redirect, error. Normal: none. When a VM dies: a burst of timeouts for the dead nodes, which ends when they count as down.",
			query(orNone(rate("node, outcome", `sessiond_redis_attempts_total{$, outcome!="ok"}`), "node"), "{{node}} {{outcome}}"),
		),
		timeseries("Failed dials", unitPerSec,
			"Connections that could not be made, by node and reason. Normal: none. When a VM dies: a few timeouts; then the breaker is open, and only the watcher keeps dialling until the node is back.",
			query(orNone(rate("node, outcome", `sessiond_redis_dials_total{$, outcome!="ok"}`), "node"), "{{node}} {{outcome}}"),
		),
	}
}
