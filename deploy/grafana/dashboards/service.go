package dashboards

// service is the dashboard of the processes: Go's runtime, connections, batches and queues, and Redis below them.
func service() Dashboard {
	return newDashboard("service", "Service",
		"The processes of the service and of Redis: the resources they use, and where work queues up.",
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
			"Whether Prometheus reaches the instance. Normal, and when a VM dies: up, because the instances run elsewhere.",
			query(`up{$, job="sessiond"}`, "{{instance}}"),
		).sized(6, 6).mapped(word("down", "red"), word("up", "green")),
		stat("Uptime", unitSeconds,
			"Time since the process started. An instance that keeps restarting is killed, probably for its memory, or crashes: look at its log.",
			query(`time() - process_start_time_seconds{$}`, "{{instance}}"),
		).sized(4, 6).thresholds("orange", from(60, "green")),
		table("Builds",
			"Which version each instance runs. More than one is normal during a rollout only.",
			`sessiond_build_info{$}`, "instance", "version", "commit",
		).sized(6, 6),
		timeseries("Requests under way", unitShort,
			"HTTP requests being served, including event streams. Normal: few. When a VM dies: a peak while writes wait. A level that only climbs is a leak, or a caller that never reads its answers.",
			query(`sum by (instance) (sessiond_http_requests_in_flight{$})`, "{{instance}}"),
		).sized(8, 6),
		timeseries("Requests by instance", unitRequests,
			"All requests per second, including operational routes. Uneven lines mean that the load balancer prefers one instance.",
			query(rate("instance", `sessiond_http_requests_total{$}`), "{{instance}}"),
		).sized(12, 8),
		timeseries("Latency by instance, p99", unitSeconds,
			"99 % of calls are answered within this time. If only one instance is slow, look at its CPU and garbage collection below, or at its network path to Redis.",
			query(quantile("0.99", "le, instance", latency+`{$, `+calls+`}`), "{{instance}}"),
		).sized(12, 8).logarithmic(),
	}
}

func goRuntime() []Panel {
	return []Panel{
		timeseries("CPU", unitShort,
			"Cores in use. When an instance uses all the cores it may have, requests queue up and latency rises.",
			query(rate("instance", `process_cpu_seconds_total{$}`), "{{instance}}"),
		),
		timeseries("Memory", unitBytes,
			"Resident memory of the process, and the part of it that is heap in use. The heap is a saw tooth between collections; a resident size that only climbs is a leak.",
			query(`process_resident_memory_bytes{$}`, "{{instance}} resident"),
			query(`go_memstats_heap_inuse_bytes{$}`, "{{instance}} heap"),
		),
		timeseries("Goroutines", unitShort,
			"Normal: tens, plus one or two for each request under way. When a VM dies: a peak as high as the number of waiting requests. A level that does not come down again is a leak.",
			query(`go_goroutines{$}`, "{{instance}}"),
		),
		timeseries("Longest GC pause", unitSeconds,
			"The longest pause among the latest garbage collections. Normal: below 1 ms. Pauses of tens of milliseconds make masters look slow and cause hedges.",
			query(`go_gc_duration_seconds{$, quantile=~"1|1.0"}`, "{{instance}}"),
		),
		timeseries("Allocated", unitByteRate,
			"Bytes allocated on the heap per second: the work of the garbage collector. It grows with the requests; if it grows faster, a change made each request more expensive.",
			query(rate("instance", `go_memstats_alloc_bytes_total{$}`), "{{instance}}"),
		),
		timeseries("File descriptors", unitFraction,
			"Share of the file descriptors the process may have. Each caller and each connection to Redis takes one. At 100 % no connection is accepted.",
			query(`process_open_fds{$} / process_max_fds{$}`, "{{instance}}"),
		).bounded(0, 1).thresholds("green", from(0.8, "red")),
	}
}

func queues() []Panel {
	return []Panel{
		timeseries("Batch size, mean", unitShort,
			"Commands sent to a node together: reads, writes that wait for a replica (replicated), and writes that do not (async). Near 1 at a low rate; it grows with the rate, and saves round trips.",
			query(`sum by (kind) (rate(sessiond_batch_size_sum{$}[$__rate_interval])) / sum by (kind) (rate(sessiond_batch_size_count{$}[$__rate_interval]) > 0)`, "{{kind}}"),
		),
		timeseries("Batch size, p99", unitShort,
			"99 % of batches are no larger than this. The limit is 128: beyond it, commands wait for the next batch, as *Commands queued* shows.",
			query(quantile("0.99", "le, kind", `sessiond_batch_size_bucket{$}`), "{{kind}}"),
		).thresholds("green", from(128, "red")),
		timeseries("Commands queued", unitShort,
			"Commands that wait because every lane to the node has a batch under way. Normal: near 0. When a VM dies: a peak for the dead nodes. If it lasts, the node is too slow for its load.",
			query(`sum by (node, kind) (sessiond_batch_waiting{$})`, "{{node}} {{kind}}"),
		),
		timeseries("Writes under way", unitShort,
			"Writes under way to each shard, on the instance that has the most. Beyond the dashed line, `--write-queue` or 4096, writes are refused as overloaded.",
			query(`max by (shard) (sessiond_writes_in_flight{$})`, "shard {{shard}}"),
		).thresholds("green", from(4096, "red")),
		timeseries("Refused as overloaded", unitPerSec,
			"Calls per second that were refused because too many writes wait for the shard, or too many streams are open. Nothing was applied. Normal: 0. When a VM dies: 0, unless the limit on writes is reached.",
			query(rate("instance", `sessiond_problems_total{$, kind="overloaded"}`), "{{instance}}"),
		),
		timeseries("Touches dropped or failed", unitPerSec,
			"Background touches that were not done because their queue was full or the shard did not answer. Their sessions may expire early, by up to a twentieth of the idle timeout. When a VM dies: a few.",
			query(orNone(rate("outcome", `sessiond_touches_total{$, outcome=~"dropped|failed"}`), "outcome"), "{{outcome}}"),
		),
	}
}

func connections() []Panel {
	return []Panel{
		timeseries("Connections", unitShort,
			"Connections of all instances to each node, busy with a command or idle. When a VM dies: those to the dead nodes fall to 0 within half a second. Many busy connections mean that the node is slow.",
			query(`sum by (node, state) (sessiond_redis_connections{$})`, "{{node}} {{state}}"),
		),
		timeseries("Waits for a connection", unitPerSec,
			"Commands that found no free connection and had to wait. Normal: almost none, because commands travel in batches. If it lasts, the pool is too small or the node is slow.",
			query(rate("node", `sessiond_redis_pool_waits_total{$}`), "{{node}}"),
		),
		timeseries("Waits that timed out", unitPerSec,
			"Commands that waited for a connection until they timed out. Normal, and when a VM dies: 0, because the breaker refuses at once.",
			query(rate("node", `sessiond_redis_pool_timeouts_total{$}`), "{{node}}"),
		).thresholds("green", from(0.001, "red")),
		timeseries("Dials", unitPerSec,
			"Connections made or attempted, by node and outcome. Normal: few, when load rises. When a VM dies: some to the replica that takes over, and to the VM's nodes when they are back. If it lasts, connections do not stay open.",
			query(orNone(rate("node, outcome", `sessiond_redis_dials_total{$}`), "node"), "{{node}} {{outcome}}"),
		),
		timeseries("Latency of attempts, p99", unitSeconds,
			"Time from sending a batch to its last answer, by node. Normal: a few milliseconds. If one node is above the others, look at its VM. Writes include the wait for their replica.",
			query(quantile("0.99", "le, node", `sessiond_redis_attempt_duration_seconds_bucket{$}`), "{{node}}"),
		).logarithmic(),
		timeseries("Attempts by command", unitPerSec,
			"Commands sent per second. get, getrange and evalsha_ro read, evalsha writes, and wait asks once per group of writes whether the replica has them. eval and eval_ro go to a node that did not have the script yet.",
			query(rate("command", `sessiond_redis_attempts_total{$}`), "{{command}}"),
		),
	}
}

func redis() []Panel {
	return []Panel{
		timeline("Redis up",
			"Whether the exporter reaches each node. When a VM dies: the VM's two nodes are down. If the service still reaches a node that is down here, the exporter is cut off.",
			query(`redis_up{job="redis"}`, "{{instance}}"),
		).mapped(word("down", "red"), word("up", "green")),
		timeseries("Memory in use", unitFraction,
			"Share of `maxmemory` that each node uses. Nothing is ever evicted: at 100 % writes are refused as `store-full`. Replicas use as much as their masters.",
			query(`redis_memory_used_bytes{job="redis"} / (redis_memory_max_bytes{job="redis"} > 0)`, "{{instance}}"),
		).bounded(0, 1).thresholds("green", from(0.9, "red")),
		timeseries("Commands", unitPerSec,
			"Commands that each node executes per second, including calls within scripts and replication. A replica executes its master's writes.",
			query(`rate(redis_commands_processed_total{job="redis"}[$__rate_interval])`, "{{instance}}"),
		),
		timeseries("Clients", unitShort,
			"Client connections of each node, including those of the exporter and of its replica.",
			query(`redis_connected_clients{job="redis"}`, "{{instance}}"),
		),
		timeseries("Replicas connected", unitNone,
			"Replicas connected to each node: 1 for a master, 0 for a replica. When a VM dies: the master that lost its replica falls to 0, and the promoted one has 0 until the VM is back.",
			query(`redis_connected_slaves{job="redis"}`, "{{instance}}"),
		).stepped(),
		timeseries("Keys", unitShort,
			"Keys on each node: sessions, tombstones and user indexes. A master and its replica differ only briefly. A fall that nobody caused is lost data.",
			query(`redis_db_keys{job="redis", db="db0"}`, "{{instance}}"),
		),
	}
}
