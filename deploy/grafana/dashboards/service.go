package dashboards

// service is the dashboard of the processes: Go's runtime, connections, batches and queues, and Redis below them.
func service() Dashboard {
	return newDashboard("service", "Service",
		"The processes of the service and of Redis: what they use, and where work queues up.",
		row("Instances", instances()...),
		row("Go", goRuntime()...),
		row("Batches and queues", queues()...),
		row("Connections to Redis", connections()...),
		row("Redis", redis()...),
	).every("5s")
}

func instances() []Panel {
	return []Panel{
		timeline("Up",
			"Whether Prometheus reaches the instance. Normal: up. A kill of a VM leaves it up: the instances run elsewhere.",
			query(`up{$, job="sessiond"}`, "{{instance}}"),
		).sized(6, 6).mapped(word("down", "red"), word("up", "green")),
		stat("Running for", unitSeconds,
			"Time since the process started. Instances that restart by themselves are killed, for memory most likely, or crash: their log says.",
			query(`time() - process_start_time_seconds{$}`, "{{instance}}"),
		).sized(4, 6).thresholds("orange", from(60, "green")),
		table("Builds",
			"Which version each instance runs. More than one is normal during a rollout only.",
			`sessiond_build_info{$}`, "instance", "version", "commit",
		).sized(6, 6),
		timeseries("Requests under way", unitShort,
			"HTTP requests that are being served, streams of events included. Normal: few. A kill: a peak, as writes wait. A level that only climbs is a leak, or a caller that never reads its answers.",
			query(`sum by (instance) (sessiond_http_requests_in_flight{$})`, "{{instance}}"),
		).sized(8, 6),
		timeseries("Requests by instance", unitRequests,
			"All requests each second, the operational routes included. Uneven lines: the load balancer prefers one instance.",
			query(rate("instance", `sessiond_http_requests_total{$}`), "{{instance}}"),
		).sized(12, 8),
		timeseries("Latency by instance, p99", unitSeconds,
			"All but one in a hundred calls are answered within this. If one instance alone is slow, look at its CPU and garbage collection below, or at its way to Redis.",
			query(quantile("0.99", "le, instance", latency+`{$, `+calls+`}`), "{{instance}}"),
		).sized(12, 8).logarithmic(),
	}
}

func goRuntime() []Panel {
	return []Panel{
		timeseries("CPU", unitShort,
			"Cores in use. At the number of cores that the instance may have, requests queue up and latency rises.",
			query(rate("instance", `process_cpu_seconds_total{$}`), "{{instance}}"),
		),
		timeseries("Memory", unitBytes,
			"What the process holds (resident), and what of it is heap in use. The heap is a saw tooth between collections; a resident size that only climbs is a leak.",
			query(`process_resident_memory_bytes{$}`, "{{instance}} resident"),
			query(`go_memstats_heap_inuse_bytes{$}`, "{{instance}} heap"),
		),
		timeseries("Goroutines", unitShort,
			"Normal: tens, and one more or two for each request under way. A kill: a peak as high as the requests that wait. What does not come down again is a leak.",
			query(`go_goroutines{$}`, "{{instance}}"),
		),
		timeseries("Longest pause of a collection", unitSeconds,
			"The longest of the last garbage collections' pauses. Normal: below 1 ms. Pauses of tens of milliseconds make masters look slow and cost hedges.",
			query(`go_gc_duration_seconds{$, quantile=~"1|1.0"}`, "{{instance}}"),
		),
		timeseries("Allocated", unitByteRate,
			"Bytes allocated on the heap each second: what the garbage collector has to do. It grows with the requests; if it grows faster, a change made each of them dearer.",
			query(rate("instance", `go_memstats_alloc_bytes_total{$}`), "{{instance}}"),
		),
		timeseries("File descriptors", unitFraction,
			"Part of the file descriptors that the process may have. Each caller and each connection to Redis takes one. At 100 % no connection is accepted.",
			query(`process_open_fds{$} / process_max_fds{$}`, "{{instance}}"),
		).bounded(0, 1).thresholds("green", from(0.8, "red")),
	}
}

func queues() []Panel {
	return []Panel{
		timeseries("Size of batches, mean", unitShort,
			"Commands that were sent to a node together: reads, writes that wait for a replica (replicated) and those that do not (async). Near 1 at a low rate; it grows with the rate, and spares round trips.",
			query(`sum by (kind) (rate(sessiond_batch_size_sum{$}[$__rate_interval])) / sum by (kind) (rate(sessiond_batch_size_count{$}[$__rate_interval]) > 0)`, "{{kind}}"),
		),
		timeseries("Size of batches, p99", unitShort,
			"All but one in a hundred batches are no larger. The limit is 128: at it, commands wait for the next batch, and the panel on the right shows them.",
			query(quantile("0.99", "le, kind", `sessiond_batch_size_bucket{$}`), "{{kind}}"),
		).thresholds("green", from(128, "red")),
		timeseries("Commands that wait for a lane", unitShort,
			"Commands queued for a node because all its lanes have a batch under way. Normal: near 0. A kill: a peak for the dead nodes. A lasting level: the node is slower than what is asked of it.",
			query(`sum by (node, kind) (sessiond_batch_waiting{$})`, "{{node}} {{kind}}"),
		),
		timeseries("Writes under way", unitShort,
			"Writes to each shard at the moment, on the instance that has the most. At `--write-queue`, 4096, the dashed line, the next ones are refused as overloaded.",
			query(`max by (shard) (sessiond_writes_in_flight{$})`, "shard {{shard}}"),
		).thresholds("green", from(4096, "red")),
		timeseries("Refused as overloaded", unitPerSec,
			"Calls each second that were refused because too many writes wait for the shard, or too many streams are open. Nothing was applied. Normal, and in a kill below the bound on writes: 0.",
			query(rate("instance", `sessiond_problems_total{$, kind="overloaded"}`), "{{instance}}"),
		),
		timeseries("Touches dropped or failed", unitPerSec,
			"Background touches that were not done, because their queue was full or the shard did not answer. Their sessions may expire up to a twentieth of the idle timeout early. A kill: a few.",
			query(orNone(rate("outcome", `sessiond_touches_total{$, outcome=~"dropped|failed"}`), "outcome"), "{{outcome}}"),
		),
	}
}

func connections() []Panel {
	return []Panel{
		timeseries("Connections", unitShort,
			"Connections of all instances to each node, busy with a command or idle. A kill: those to the dead nodes go to 0 within half a second. Many busy ones: the node is slow.",
			query(`sum by (node, state) (sessiond_redis_connections{$})`, "{{node}} {{state}}"),
		),
		timeseries("Waits for a connection", unitPerSec,
			"Commands that found no free connection and had to wait for one. Normal: almost none, as commands travel in batches. A lasting line: the pool is too small, or the node slow.",
			query(rate("node", `sessiond_redis_pool_waits_total{$}`), "{{node}}"),
		),
		timeseries("Waits in vain", unitPerSec,
			"Commands that waited for a connection until their time was up. Normal, and in a kill: 0, as the breaker refuses at once.",
			query(rate("node", `sessiond_redis_pool_timeouts_total{$}`), "{{node}}"),
		).thresholds("green", from(0.001, "red")),
		timeseries("Dials", unitPerSec,
			"Connections made, or tried, by node and outcome. Normal: few, when load rises. A kill: some to the replica that takes over, and to the VM's nodes when they are back. A lasting rate: connections do not live.",
			query(orNone(rate("node, outcome", `sessiond_redis_dials_total{$}`), "node"), "{{node}} {{outcome}}"),
		),
		timeseries("Latency of attempts, p99", unitSeconds,
			"From the sending of a batch to its last answer, by node. Normal: some milliseconds. One node above the others: look at its VM. Writes include the wait for their replica.",
			query(quantile("0.99", "le, node", `sessiond_redis_attempt_duration_seconds_bucket{$}`), "{{node}}"),
		).logarithmic(),
		timeseries("Attempts by command", unitPerSec,
			"Commands sent each second: get, getrange and evalsha_ro read, evalsha writes, wait asks for the replica once for a group of writes. eval and eval_ro instead: a node that did not hold the script yet.",
			query(rate("command", `sessiond_redis_attempts_total{$}`), "{{command}}"),
		),
	}
}

func redis() []Panel {
	return []Panel{
		timeline("Redis up",
			"Whether the exporter reaches each node. A kill: the VM's two nodes are down. If the service still reaches a node that is down here, the exporter is cut off.",
			query(`redis_up{job="redis"}`, "{{instance}}"),
		).mapped(word("down", "red"), word("up", "green")),
		timeseries("Memory in use", unitFraction,
			"Part of `maxmemory` that each node uses. Nothing is ever evicted: at 100 % writes are refused as `store-full`. Replicas use as much as their masters.",
			query(`redis_memory_used_bytes{job="redis"} / (redis_memory_max_bytes{job="redis"} > 0)`, "{{instance}}"),
		).bounded(0, 1).thresholds("green", from(0.9, "red")),
		timeseries("Commands", unitPerSec,
			"Commands that each node executes, scripts' own calls and replication included. A replica executes its master's writes.",
			query(`rate(redis_commands_processed_total{job="redis"}[$__rate_interval])`, "{{instance}}"),
		),
		timeseries("Clients", unitShort,
			"Connections that each node has, the exporter's and the replica's included.",
			query(`redis_connected_clients{job="redis"}`, "{{instance}}"),
		),
		timeseries("Replicas connected", unitNone,
			"Replicas that each node feeds: 1 for a master, 0 for a replica. A kill: the master that lost its replica goes to 0, and so does the promoted one until the VM is back.",
			query(`redis_connected_slaves{job="redis"}`, "{{instance}}"),
		).stepped(),
		timeseries("Keys", unitShort,
			"Keys of each node: sessions, tombstones and the users' indexes. A master and its replica differ by moments only. A fall that nobody ordered is lost data.",
			query(`redis_db_keys{job="redis", db="db0"}`, "{{instance}}"),
		),
	}
}
