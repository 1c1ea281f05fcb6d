package dashboards

// sessions is the dashboard of those whose applications keep their sessions here.
func sessions() Dashboard {
	return newDashboard("sessions", "Sessions",
		"What happens to sessions, by tenant: how many are live, created, read, revoked and rotated, and which calls are refused.",
		row("Summary", sessionsNow()...),
		row("Sessions over time", lives()...),
		row("Calls", sessionCalls()...),
		row("Reads and touches", touches()...),
	).every("5s")
}

func sessionsNow() []Panel {
	return []Panel{
		stat("Live sessions", unitShort,
			"Sessions of all tenants that have neither expired nor been revoked: an estimate from a sample; every instance estimates the same total.",
			query(`sum(max by (tenant) (sessiond_sessions_live{$}))`, "live"),
		).sized(4, 4),
		stat("Created", unitPerSec,
			"Sessions created per second. It follows logins: a peak without more logins means a client that loses its sessions, or an attack.",
			query(`sum(rate(sessiond_sessions_created_total{$}[$__rate_interval]))`, "created"),
		).sized(4, 4).whenEmpty("none yet"),
		stat("Read", unitPerSec,
			"Sessions read per second, from masters or replicas. Sessions in batches and lists count one by one.",
			query(`sum(rate(sessiond_reads_total{$}[$__rate_interval]))`, "read"),
		).sized(4, 4),
		stat("Revocations", unitPerSec,
			"Calls per second that revoked sessions. Logging out everywhere counts once for each session it ended.",
			query(`sum(rate(sessiond_sessions_revoked_total{$}[$__rate_interval])) or vector(0)`, "revoked"),
		).sized(4, 4),
		stat("Reuse", unitShort,
			"Sessions revoked in the time range because an ID was used after its rotation and grace period. Normal: 0, or a few from clients that keep old IDs. Many mean that stolen IDs are in use.",
			once(`round(sum(increase(sessiond_sessions_reused_total{$}[$__range]))) or vector(0)`, "reused"),
		).sized(4, 4).decimals(0).thresholds("green", from(1, "orange"), from(20, "red")),
		stat("Touches saved", unitFraction,
			"Share of reads that needed no write to slide the idle deadline, because it was slid recently or a touch was already queued. Normal: 90 % and more for busy sessions; low if each session is read seldom.",
			once(`sum(increase(sessiond_touches_total{$, outcome=~"suppressed|coalesced"}[$__range])) / (sum(increase(sessiond_touches_total{$}[$__range])) > 0)`, "saved"),
		).sized(4, 4).decimals(1).whenEmpty("no reads"),
	}
}

func lives() []Panel {
	return []Panel{
		timeseries("Live by tenant", unitShort,
			"Sessions that have neither expired nor been revoked, by tenant: an estimate from a sample of the keys. When a VM dies: no change. A fall that nobody caused is lost data.",
			query(`max by (tenant) (sessiond_sessions_live{$})`, "{{tenant}}"),
		).stacked(),
		timeseries("Created by tenant", unitPerSec,
			"Sessions created per second, by tenant. When a VM dies: a dip while creates wait for the promotion, then a peak when they are answered.",
			query(orNone(rate("tenant", `sessiond_sessions_created_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Revoked by tenant", unitPerSec,
			"Revocations per second, by tenant: logging out one device or everywhere, and batches. Expired sessions do not count.",
			query(orNone(rate("tenant", `sessiond_sessions_revoked_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Rotated by tenant", unitPerSec,
			"Sessions that got a new ID, per second, including logins of anonymous sessions. An application that changes privileges without rotating shows a flat line.",
			query(orNone(rate("tenant", `sessiond_sessions_rotated_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Reuse by tenant", unitPerSec,
			"Sessions revoked because a rotated ID was used after its grace period, by tenant. Normal: none. A steady line for one tenant is a client that keeps old IDs; a sudden one is theft until proven otherwise.",
			query(orNone(rate("tenant", `sessiond_sessions_reused_total{$}`), "tenant"), "{{tenant}}"),
		),
		timeseries("Durability achieved", unitPerSec,
			"Acknowledged writes by what they achieved: a replica has them (replicated), one copy because the shard has no replica (single), or one copy because no more was asked for (async, and every background touch).",
			query(rate("durability", `sessiond_writes_total{$}`), "{{durability}}"),
		).stacked().colored("replicated", "green").colored("single", "orange").colored("async", "blue"),
	}
}

func sessionCalls() []Panel {
	return []Panel{
		timeseries("Calls by route", unitRequests,
			"Calls per second, by route pattern and method. No label contains a session or a user.",
			query(rate("method, route", `sessiond_http_requests_total{$, `+calls+`}`), "{{method}} {{route}}"),
		).sized(12, 9),
		timeseries("Calls by tenant", unitRequests,
			"Calls per second, by the tenant of their API key. Calls that were refused before the tenant was known have no name.",
			query(rate("tenant", `sessiond_http_requests_total{$, `+calls+`}`), "{{tenant}}"),
		).sized(12, 9).stacked(),
		timeseries("Refusals by kind", unitPerSec,
			"Problem documents per second that the caller can avoid, including those within batches: not-found, version-mismatch, unauthorized and the like. Normal: some not-found, for sessions that expired. Many mean a defect in a client, or somebody who guesses IDs.",
			query(orNone(rate("kind", `sessiond_problems_total{$, kind!~"internal|unavailable|overloaded|outcome-unknown|store-full"}`), "kind"), "{{kind}}"),
		).sized(12, 9),
		timeseries("Latency by route, p99", unitSeconds,
			"99 % of calls of the route and method are answered within this time. Reads of one session should stay below the dashed line, 100 ms. Lists and batches take longer, because they contain more.",
			query(quantile("0.99", "le, method, route", latency+`{$, `+calls+`}`), "{{method}} {{route}}"),
		).sized(12, 9).logarithmic().thresholds("green", from(0.1, "red")),
	}
}

func touches() []Panel {
	return []Panel{
		timeseries("Reads by source", unitPerSec,
			"Who answered the reads. Normal: masters. While a master is silent, its replica answers, as `Session-Source` says.",
			query(rate("source", `sessiond_reads_total{$}`), "{{source}}"),
		).stacked(),
		timeseries("Touches by outcome", unitPerSec,
			"Reads by what happened to their touch: suppressed (slid recently), coalesced (one is queued already), sent, failed, dropped (the queue is full). Sessions with dropped or failed touches may expire a little early. When a VM dies: none fails, since those of its shard are tried again as long as the session may live.",
			query(orNone(rate("outcome", `sessiond_touches_total{$}`), "outcome"), "{{outcome}}"),
		).stacked().colored("suppressed", "green").colored("sent", "blue").colored("dropped", "red").colored("failed", "orange"),
		timeseries("Share of touches saved", unitFraction,
			"Share of reads that needed no write to slide the idle deadline: near 100 % for sessions that are read many times within a twentieth of their idle timeout.",
			query(`sum(rate(sessiond_touches_total{$, outcome=~"suppressed|coalesced"}[$__rate_interval])) / (sum(rate(sessiond_touches_total{$}[$__rate_interval])) > 0)`, "saved"),
		).bounded(0, 1).whenEmpty("no reads"),
	}
}
