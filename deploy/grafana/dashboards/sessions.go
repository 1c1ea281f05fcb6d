package dashboards

// sessions is the dashboard of those whose applications keep their sessions here.
func sessions() Dashboard {
	return newDashboard("sessions", "Sessions",
		"What happens to sessions, by tenant: how many live, are created, read, revoked and rotated, and which calls were refused.",
		row("In one line", sessionsNow()...),
		row("The life of sessions", lives()...),
		row("Calls", sessionCalls()...),
		row("Reads and touches", touches()...),
	).every("5s")
}

func sessionsNow() []Panel {
	return []Panel{
		stat("Live sessions", unitShort,
			"Sessions of all tenants that have neither expired nor been revoked: an estimate from a sample, the same from every instance.",
			query(`sum(max by (tenant) (sessiond_sessions_live{$}))`, "live"),
		).sized(4, 4),
		stat("Created", unitPerSec,
			"Sessions created each second. It follows logins: a peak without one in the logins is a client that loses its sessions, or somebody who tries.",
			query(`sum(rate(sessiond_sessions_created_total{$}[$__rate_interval]))`, "created"),
		).sized(4, 4).whenEmpty("none yet"),
		stat("Read", unitPerSec,
			"Reads of sessions each second, answered by masters or replicas, those of batches and of lists one by one.",
			query(`sum(rate(sessiond_reads_total{$}[$__rate_interval]))`, "read"),
		).sized(4, 4),
		stat("Calls that revoked", unitPerSec,
			"Calls each second that revoked sessions: a log-out everywhere counts once for each session that it ended.",
			query(`sum(rate(sessiond_sessions_revoked_total{$}[$__rate_interval])) or vector(0)`, "revoked"),
		).sized(4, 4),
		stat("Reuse", unitShort,
			"Sessions revoked in the time range because an ID was used after it had been rotated and its grace was over. Normal: 0, or a few from clients that keep old IDs. Many: stolen IDs are in use.",
			once(`round(sum(increase(sessiond_sessions_reused_total{$}[$__range]))) or vector(0)`, "reused"),
		).sized(4, 4).decimals(0).thresholds("green", from(1, "orange"), from(20, "red")),
		stat("Touches saved", unitFraction,
			"Part of the reads that slid the idle deadline without a write, since it had been slid lately enough or a write for it was queued. Normal: 90 % and more for busy sessions; low if each is read seldom.",
			once(`sum(increase(sessiond_touches_total{$, outcome=~"suppressed|coalesced"}[$__range])) / (sum(increase(sessiond_touches_total{$}[$__range])) > 0)`, "saved"),
		).sized(4, 4).decimals(1).whenEmpty("no reads"),
	}
}

func lives() []Panel {
	return []Panel{
		timeseries("Live by tenant", unitShort,
			"Sessions that have neither expired nor been revoked, by tenant: an estimate from a sample of the keys. A kill changes nothing here; a fall that nobody ordered does.",
			query(`max by (tenant) (sessiond_sessions_live{$})`, "{{tenant}}"),
		).stacked(),
		timeseries("Created by tenant", unitPerSec,
			"Sessions created each second, by tenant. A kill: a dip while creates wait for the promotion, and then their answers.",
			query(orNone(rate("tenant", `sessiond_sessions_created_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Revoked by tenant", unitPerSec,
			"Revocations each second, by tenant: log-outs, of one device or everywhere, and batches. Expiry is none.",
			query(orNone(rate("tenant", `sessiond_sessions_revoked_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Rotated by tenant", unitPerSec,
			"Sessions that got a new ID each second, logins of anonymous sessions included. An application that changes privileges without rotating shows as a flat line.",
			query(orNone(rate("tenant", `sessiond_sessions_rotated_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Reuse by tenant", unitPerSec,
			"Sessions revoked because a rotated ID came back after its grace, by tenant. Normal: none. A lasting line of one tenant is a client that keeps old IDs; a sudden one is theft until proven otherwise.",
			query(orNone(rate("tenant", `sessiond_sessions_reused_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Durability achieved", unitPerSec,
			"Acknowledged writes by what they have: a replica (replicated), one copy because the shard has no replica (single), or one copy because they asked for no more (async, and every background touch).",
			query(rate("durability", `sessiond_writes_total{$}`), "{{durability}}"),
		).stacked().colored("replicated", "green").colored("single", "orange").colored("async", "blue"),
	}
}

func sessionCalls() []Panel {
	return []Panel{
		timeseries("Calls by route", unitRequests,
			"Calls each second, by the pattern of their route and their method. No label holds a session or a user.",
			query(rate("method, route", `sessiond_http_requests_total{$, `+calls+`}`), "{{method}} {{route}}"),
		).sized(12, 9),
		timeseries("Calls by tenant", unitRequests,
			"Calls each second, by the tenant whose API key they carry; without a name for those that were refused before the tenant was known.",
			query(rate("tenant", `sessiond_http_requests_total{$, `+calls+`}`), "{{tenant}}"),
		).sized(12, 9).stacked(),
		timeseries("Refusals by kind", unitPerSec,
			"Problem documents each second that are the caller's to mend, those within batches included: not-found, version-mismatch, unauthorized and the like. Normal: some not-found, of sessions that expired. Many: a client with a defect, or somebody who guesses IDs.",
			query(orNone(rate("kind", `sessiond_problems_total{$, kind!~"internal|unavailable|overloaded|outcome-unknown|store-full"}`), "kind"), "{{kind}}"),
		).sized(12, 9),
		timeseries("Latency by route, p99", unitSeconds,
			"All but one in a hundred calls of the route and method are answered within this. Reads of one session shall stay below 100 ms, the dashed line; lists and batches take longer, as they hold more.",
			query(quantile("0.99", "le, method, route", latency+`{$, `+calls+`}`), "{{method}} {{route}}"),
		).sized(12, 9).logarithmic().thresholds("green", from(0.1, "red")),
	}
}

func touches() []Panel {
	return []Panel{
		timeseries("Reads by source", unitPerSec,
			"Who answered the reads. Normal: masters. While a master is silent its replica answers, marked so in `Session-Source`.",
			query(rate("source", `sessiond_reads_total{$}`), "{{source}}"),
		).stacked(),
		timeseries("Touches by outcome", unitPerSec,
			"Reads by what became of the sliding of the idle deadline: suppressed (slid lately enough), coalesced (one is queued), sent, failed, dropped (the queue is full). Dropped and failed sessions expire a little early. A kill: some failed.",
			query(orNone(rate("outcome", `sessiond_touches_total{$}`), "outcome"), "{{outcome}}"),
		).stacked().colored("suppressed", "green").colored("sent", "blue").colored("dropped", "red").colored("failed", "orange"),
		timeseries("Part of the touches saved", unitFraction,
			"Part of the reads that cost no write for the sliding of the idle deadline. It is what the background touches are for: near 100 % for sessions that are read many times within a twentieth of their idle timeout.",
			query(`sum(rate(sessiond_touches_total{$, outcome=~"suppressed|coalesced"}[$__rate_interval])) / (sum(rate(sessiond_touches_total{$}[$__rate_interval])) > 0)`, "saved"),
		).bounded(0, 1).whenEmpty("no reads"),
	}
}
