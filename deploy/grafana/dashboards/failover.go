package dashboards

// failover is the dashboard to look at while a VM dies. It shows the last quarter of an hour, by the second.
func failover() Dashboard {
	d := newDashboard("failover", "Failover",
		"What a VM's death does to callers, to the nodes and to the writes that wait. Kill one with `make vm-kill VM=2` and watch.",
		row("In one line", append([]Panel{guide()}, promises()...)...),
		row("What callers get", callers()...),
		row("The nodes", nodes()...),
		row("The cluster", theCluster()...),
		row("The gap", gap()...),
		row("How it is survived", survival()...),
	)
	d.Refresh, d.Time = "5s", TimeRange{From: "now-15m", To: "now"}
	d.Annotations.List = append(d.Annotations.List, marks()...)
	return d.every("1s")
}

func guide() Panel {
	return text("How to read this",
		"What a kill looks like here, from the first sign to the end.",
		"A VM dies: two nodes turn **suspect**, then **down**. One shard lost its master: its reads go to the replica at once, its writes wait. "+
			"The replica is **promoted**, the epoch rises, the writes go on: *Calls by status* shows a dip and no red. Another shard lost its replica: "+
			"its writes are acknowledged with one copy (**single**). When the VM is back, `make cluster-rebalance` gives every VM one master again. "+
			"Marks: blue epoch, red trouble, purple promotion, green recovery. What to do about an alert: `docs/runbook.md`.",
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
			"Part of the calls in the time range that were not answered by 5xx. The objective is 99.9 %. Normal: 100 %. A kill: 100 %, reads go on and writes wait.",
			once(`1 - `+bad+` / (`+total+` > 0)`, "availability"),
		).decimals(3).thresholds("red", from(0.999, "green")).whenEmpty("no calls"),
		stat("Error budget left", unitFraction,
			"What remains of the 0.1 % of calls that may fail within 30 days, of all instances. Normal: near 100 %. Below 0 the objective is missed: put reliability before features.",
			once(`1 - sessiond:api_errors:ratio_rate30d / 0.001`, "budget"),
		).decimals(1).thresholds("red", from(0, "orange"), from(0.25, "green")).whenEmpty("no calls"),
		stat("Failed calls", unitShort,
			"Calls answered by 5xx in the time range. Normal: 0. A kill: 0. The panel of errors by type says which.",
			once(bad, "failed"),
		).decimals(0).thresholds("green", from(0.5, "red")),
		stat("Calls", unitRequests,
			"Calls of the API each second; /metrics, /readyz and the like do not count. A kill: a dip of the answers while writes wait, then as before.",
			query(`sum(rate(sessiond_http_requests_total{$, `+calls+`}[$__rate_interval]))`, "calls"),
		).decimals(0),
		stat("Reads, p99", unitSeconds,
			"All but one in a hundred reads are answered within this. The objective is 100 ms. A kill: a peak of the hedge delay, 40 ms, and a little more.",
			query(quantile("0.99", "le", latency+`{$, `+reads+`}`), "p99"),
		).thresholds("green", from(0.1, "orange"), from(0.5, "red")).whenEmpty("no reads"),
		stat("Slots covered", unitFraction,
			"Part of the 16384 hash slots whose master is well, as the instance says that sees the fewest. Normal: 100 %. A kill: 66.7 % until the replica is promoted.",
			query(`min(sessiond_cluster_slots{$, state="covered"}) / 16384`, "covered"),
		).decimals(1).thresholds("red", from(1, "green")),
		stat("Longest write gap", unitSeconds,
			"The longest time in the time range for which the writes to one shard waited, looked at each second. Normal: 0. A kill: 1 s with assisted failover, up to 5 s without.",
			once(`max(max_over_time(sessiond_shard_stalled_seconds{$}[$__range]))`, "gap"),
		).thresholds("green", from(1.5, "orange"), from(6, "red")),
		stat("Promotions", unitShort,
			"Replicas that became master in the time range, planned ones included: a kill is 1, and a rebalance after the VM's return another.",
			once(`max(round(increase(sessiond_events_total{$, type="promoted"}[$__range])))`, "promotions"),
		).decimals(0).thresholds("green", from(1, "purple")),
	}
}

func callers() []Panel {
	return []Panel{
		timeseries("Calls by status", unitRequests,
			"Answers each second by HTTP status. 499 means that the caller hung up. Normal: 2xx, and 404 for sessions that are gone. A kill: a short dip, as writes wait, and then their answers at once; no red.",
			query(rate("code", `sessiond_http_requests_total{$, `+calls+`}`), "{{code}}"),
		).sized(12, 8).stacked().colored("2..", "green").colored("3..", "blue").colored("4..", "yellow").colored("499", "text").colored("5..", "red"),
		timeseries("Errors by type", unitPerSec,
			"Problem documents each second that say that the service failed: `unavailable` and `overloaded` promise that nothing was applied, `outcome-unknown` that it may have been. Normal, and in a kill: flat at 0.",
			query(rate("kind", `sessiond_problems_total{$, kind=~"internal|unavailable|overloaded|outcome-unknown|store-full"}`), "{{kind}}"),
		).sized(12, 8).colored("internal", "dark-red").colored("outcome-unknown", "purple"),
		heatmap("Latency of calls", unitSeconds,
			"How long calls take: the darker, the more. Normal: a band of some milliseconds. A kill: a second band at about 40 ms for reads that asked the replica, and a few cells up to the length of the gap for writes that waited.",
			latency+`{$, `+calls+`}`,
		).sized(12, 9),
		timeseries("Latency of reads", unitSeconds,
			"Reads of one session. The dashed line is the objective, 100 ms for 99 in 100. A kill: p99 rises to the hedge delay for a moment.",
			quantiles(latency+`{$, `+reads+`}`)...,
		).sized(12, 9).logarithmic().thresholds("green", from(0.1, "red")),
		timeseries("Latency of writes", unitSeconds,
			"Calls that change something. Normal: some milliseconds, as a replica has to have them too. A kill: p99 rises to the length of the gap for the shard that lost its master, and by 0.4 s for the one that lost its replica.",
			quantiles(latency+`{$, `+writes+`}`)...,
		).sized(12, 8).logarithmic(),
		timeseries("Burn rate", unitNone,
			"How many times faster than allowed the error budget is spent, over three windows: at 1 it lasts exactly 30 days, at 14.4 it is gone in two. The dashed line is where a page is sent. Normal, and in a kill: 0.",
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
			"What the service makes of each node; of several instances the one with the worst view counts. A kill: two nodes become suspect within 0.1 s and down after 0.3 s, then a replica turns into a master. A node that returns is a replica that catches up.",
			query(worst, "{{node}}"),
		).sized(14, 9).mapped(
			word("unknown", "text"), word("replica", "blue"), word("master", "green"), word("catching up", "yellow"), word("suspect", "orange"), word("down", "red"),
		),
		timeline("What the cluster says of it",
			"What the nodes think of each other, which takes the node timeout: 2 s. Normal: ok. A kill: failed after 2 to 3 s. Suspected alone means that no majority agrees yet.",
			query(said, "{{node}}"),
		).sized(10, 9).mapped(word("ok", "green"), word("suspected", "orange"), word("failed", "red"), word("joining", "text")),
		table("Nodes now",
			"Every node with its VM, its role, what this service makes of it, and what the cluster says. A node stands here twice while two instances see it differently, which should pass within seconds.",
			`max by (vm, node, role, state, health) (
  sessiond_cluster_node_role{$}
    * on (instance, node) group_left (state) sessiond_redis_node_state{$}
    * on (instance, node) group_left (health) sessiond_cluster_node_health{$}
)`, "vm", "node", "role", "state", "health",
		).sized(10, 8),
		timeseries("Silence", unitSeconds,
			"For how long a node has owed an answer, to the instance that it owes it longest. Normal: below 50 ms. A kill: two lines that climb until the VM is back. The dashed line is where a node counts as down.",
			query(`max by (node) (sessiond_redis_node_silence_seconds{$})`, "{{node}}"),
		).sized(7, 8).thresholds("green", from(0.3, "red")),
		timeline("Breaker",
			"Whether connections to a node are made, or refused at once because it is down, so that nothing hangs on it. Normal: closed. A kill: open for the VM's two nodes until they answer again.",
			query(`max by (node) (sessiond_redis_breaker_open{$})`, "{{node}}"),
		).sized(7, 8).mapped(word("closed", "green"), word("open", "red")),
	}
}

func theCluster() []Panel {
	return []Panel{
		timeseries("Slots", unitNone,
			"Hash slots with a master that is well, and without, as the instance says that sees it worst. Normal: 16384 and 0. A kill: a third changes sides until the promotion.",
			query(`min(sessiond_cluster_slots{$, state="covered"})`, "covered"),
			query(`max(sessiond_cluster_slots{$, state="uncovered"})`, "uncovered"),
		).stepped().bounded(0, 16384).colored("covered", "green").colored("uncovered", "red"),
		timeseries("Epoch", unitNone,
			"The highest configuration epoch that each instance knows. Every promotion raises it; the marks across the panels stand where it rose. Instances that differ for longer than a second do not see the same cluster.",
			query(`max by (instance) (sessiond_cluster_epoch{$})`, "{{instance}}"),
		).stepped(),
		timeseries("Masters per VM", unitNone,
			"Masters with slots on each VM. Normal: one each. A kill: 0 on the dead one and 2 on another, whose loss would then lose the majority. Once all VMs are back: `make cluster-rebalance`.",
			query(`max by (vm) (sessiond_cluster_masters{$})`, "{{vm}}"),
		).stepped().thresholds("green", from(2, "red")),
		timeline("Replicas in step",
			"How many replicas of each shard hold every acknowledged write. Normal: 1. A kill: 0 for the shard that lost its replica, and for the one whose replica was promoted. While it is 0, the death of that master loses the shard.",
			query(`shard:sessiond_replicas_in_step:max`, "shard {{shard}}"),
		).mapped(word("none", "red"), word("1", "green"), word("2", "green"), word("3", "green")),
		timeseries("Replication lag", unitBytes,
			"Bytes of its master's stream that a replica has yet to apply. Normal: near 0, some kilobytes under load. A kill: none of the dead; a replica that returns falls from high to 0 within seconds.",
			query(`max by (node, shard) (sessiond_cluster_replica_lag_bytes{$})`, "{{node}}"),
		),
		timeseries("Writes under way", unitShort,
			"Writes to each shard at the moment, those that wait for a promotion included. Normal: few. A kill: a peak of the write rate times the length of the gap. At `--write-queue`, 4096, the next ones are refused as overloaded.",
			query(`sum by (shard) (sessiond_writes_in_flight{$})`, "shard {{shard}}"),
		),
	}
}

func gap() []Panel {
	return []Panel{
		timeseries("Writes that cannot be served", unitSeconds,
			"For how long the writes to a shard have been waiting, looked at each second. Normal: 0. A kill: a saw tooth as high as the gap for the shard that lost its master. The dashed line is what assisted failover keeps to.",
			query(`max by (shard) (sessiond_shard_stalled_seconds{$})`, "shard {{shard}}"),
		).thresholds("green", from(1.5, "red")),
		stat("Longest gap per shard", unitSeconds,
			"The longest time in the time range for which writes to the shard waited. It is looked at each second: a gap of half a second may be missed or cut, the panel beside this one has the exact times.",
			once(`max by (shard) (max_over_time(sessiond_shard_stalled_seconds{$}[$__range]))`, "shard {{shard}}"),
		).sized(8, 8).thresholds("green", from(1.5, "orange"), from(6, "red")),
		stat("Length of failovers", unitSeconds,
			"From the first write that failed to the first that succeeded after the promotion: the mean of each shard's failovers since its instance started. With assisted failover below 1 s, without 4 to 5 s. Empty before the first.",
			once(`max by (shard) (sessiond_failover_duration_seconds_sum{$} / sessiond_failover_duration_seconds_count{$})`, "shard {{shard}}"),
		).sized(8, 8).thresholds("green", from(1.5, "orange"), from(6, "red")).whenEmpty("none yet").shownByFailover(),
		timeseries("Events", unitShort,
			"Events of the timeline by type; the height is about how many, as the instance tells that tells the most. Normal: nothing. A kill: suspect, stalled, down, asked, promoted, adopted, resumed, and failed 2 s later. `/v1/cluster/events` has the words.",
			query(orNone(`max by (type) (increase(sessiond_events_total{$}[$__rate_interval])) > 0`, "type"), "{{type}}"),
		).sized(16, 8).bars().shownByFailover(),
		stat("Replicas asked to take over", unitShort,
			"How often the instances asked a replica in the time range: by agreement with its master (plain), and by election (force) if the master did not answer. A kill: one of each. In peace every one is a false alarm: raise `--failover-assist`.",
			once(`sum by (step) (round(increase(sessiond_failover_assists_total{$}[$__range])))`, "{{step}}"),
		).sized(8, 8).decimals(0).thresholds("green", from(1, "purple")),
	}
}

func survival() []Panel {
	return []Panel{
		timeseries("Reads by source", unitPerSec,
			"Who answered the reads. Normal: masters. A kill: a third of the reads moves to a replica until it is promoted and answers as a master.",
			query(rate("source", `sessiond_reads_total{$}`), "{{source}}"),
		).stacked(),
		timeseries("Reads that asked the replica", unitPerSec,
			"By the reason: the master was slow, suspect or failed; denied if the budget, one read in ten, was used up. Normal: almost none. A kill: slow for a moment, then suspect until the promotion.",
			query(rate("reason", `sessiond_hedges_total{$}`), "{{reason}}"),
		),
		timeseries("Further rounds", unitPerSec,
			"Rounds that reads and writes took after their first. Normal: almost none. A kill: a peak of the writes that wait, as each of them tries again when something changes.",
			query(rate("kind", `sessiond_retries_total{$}`), "{{kind}}"),
		),
		timeseries("Durability achieved", unitPerSec,
			"Acknowledged writes by what they have: a replica (replicated), one copy because the shard has no replica (single), or one copy because they asked for no more (async: touches). A kill: single for two shards of three until the VM is back.",
			query(rate("durability", `sessiond_writes_total{$}`), "{{durability}}"),
		).stacked().colored("replicated", "green").colored("single", "orange").colored("async", "blue"),
		timeseries("Unknown outcomes", unitPerSec,
			"Writes that were given up without knowing whether they were applied: the caller got 503 `outcome-unknown`. Normal, and in a kill: 0. They come if no master is promoted within the request's deadline, or if this instance is cut off.",
			query(`sum(rate(sessiond_unknown_outcomes_total{$}[$__rate_interval]))`, "unknown"),
		).thresholds("green", from(0.001, "red")),
		timeseries("Redirects by kind", unitPerSec,
			"Answers of a node that send a command elsewhere (moved, ask) or away for the moment (tryagain, clusterdown, loading, readonly). Normal: none. A kill: few, as the promotion is known before anyone is asked wrongly; moved and ask come with a reshard.",
			query(orNone(rate("kind", `sessiond_redis_redirects_total{$}`), "kind"), "{{kind}}"),
		),
		timeseries("Attempts by node", unitPerSec,
			"Commands sent to each node, replicas included; a write is one script call and one WAIT for the whole group. Normal: level. A kill: two lines end, and the promoted replica takes over what its master had.",
			query(rate("node", `sessiond_redis_attempts_total{$}`), "{{node}}"),
		),
		timeseries("Attempts that failed", unitPerSec,
			"By node and by what came of them: timeout, io (the connection broke), dial, breaker (refused at once), redirect, error. Normal: none. A kill: a burst of timeouts to the dead nodes, which ends when they count as down.",
			query(orNone(rate("node, outcome", `sessiond_redis_attempts_total{$, outcome!="ok"}`), "node"), "{{node}} {{outcome}}"),
		),
		timeseries("Dials that failed", unitPerSec,
			"Connections that could not be made, by node and reason. Normal: none. A kill: a few timeouts; then the breaker is open, and only the watcher knocks until the node is back.",
			query(orNone(rate("node, outcome", `sessiond_redis_dials_total{$, outcome!="ok"}`), "node"), "{{node}} {{outcome}}"),
		),
	}
}
