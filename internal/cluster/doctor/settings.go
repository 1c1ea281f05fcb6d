package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// judgeEviction finds a maxmemory-policy that lets Redis delete keys. Tombstones and marks are keys too.
func judgeEviction(x *examination) []Finding {
	return x.each(func(s *sheet) Finding {
		policy, ok := s.tells("maxmemory_policy", "maxmemory-policy")
		switch {
		case !ok:
			return unknown("maxmemory-policy", "")
		case policy == "noeviction":
			return Finding{}
		}
		f := Finding{
			Severity: Breaks, Found: "maxmemory-policy is " + policy,
			Why: "when the memory is full, live sessions are deleted without a word, and so are the traces of revoked ones, which a late write then brings back",
			Do:  "CONFIG SET maxmemory-policy noeviction, and the same in its configuration",
		}
		if limit, ok := s.tells("maxmemory", "maxmemory"); ok && limit == "0" {
			f.Severity, f.Why = Weakens, "there is no limit of memory, so nothing is evicted; once there is one, live sessions are"
		}
		return f
	})
}

// judgePersistence finds nodes that restart empty. A master that does so before it is voted out makes its replicas empty too.
func judgePersistence(x *examination) []Finding {
	return x.each(func(s *sheet) Finding {
		aof, ok := s.tells("aof_enabled", "appendonly")
		if !ok {
			return unknown("appendonly", "")
		}
		if aof == "1" || aof == "yes" {
			return Finding{}
		}
		f := Finding{
			Severity: Breaks, Found: "keeps no log and no snapshots",
			Why: "a master that restarts before it is voted out is empty, and its replicas delete what they have",
			Do:  "CONFIG SET appendonly yes, and the same in its configuration",
		}
		switch save, ok := s.settings["save"]; {
		case !ok:
			f.Severity, f.Found = Unknown, "keeps no log, and does not tell whether it saves snapshots"
			f.Why = "without either, a master that restarts before it is voted out is empty, and its replicas delete what they have"
		case save != "":
			f.Severity, f.Found = Weakens, "keeps snapshots only"
			f.Why = "a master that restarts before it is voted out has lost what came after the last snapshot, and its replicas follow it"
		}
		return f
	})
}

// judgeCoverage finds cluster-require-full-coverage.
func judgeCoverage(x *examination) []Finding {
	return x.each(func(s *sheet) Finding {
		switch value, ok := s.settings["cluster-require-full-coverage"]; {
		case !ok:
			return unknown("cluster-require-full-coverage", "")
		case value == "no":
			return Finding{}
		}
		return Finding{
			Severity: Breaks, Found: "cluster-require-full-coverage is yes (the default)",
			Why: "while one shard has no master, all others refuse reads and writes too, with each failover",
			Do:  "CONFIG SET cluster-require-full-coverage no, and the same in its configuration",
		}
	})
}

// judgeMigration finds cluster-allow-replica-migration. Redis takes a replica from a master that keeps another one
// (cluster-migration-barrier), so nothing migrates as long as no master has two.
func judgeMigration(x *examination) []Finding {
	spare := slices.ContainsFunc(x.view.Nodes, func(m view.Node) bool { return len(x.view.ReplicasOf(m.ID)) > 1 })
	return x.each(func(s *sheet) Finding {
		switch value, ok := s.settings["cluster-allow-replica-migration"]; {
		case !ok:
			return unknown("cluster-allow-replica-migration", "")
		case value == "no":
			return Finding{}
		}
		f := Finding{
			Severity: Breaks, Found: "cluster-allow-replica-migration is yes (the default)",
			Why: "when a master loses its replica, Redis gives it another one's, on whichever VM that is; it may be the master's own",
			Do:  "CONFIG SET cluster-allow-replica-migration no, and the same in its configuration",
		}
		if !spare {
			f.Severity = Weakens
			f.Why = "no master has a replica to spare, so none migrates; a master that gives up its last slot becomes a replica all the same"
		}
		return f
	})
}

// judgeNodeTimeout finds nodes whose failover outlasts a request. Without assistance a replica is promoted within two node timeouts
// and a second: one until the master is suspected, up to one until a majority agrees, and the election.
func judgeNodeTimeout(x *examination) []Finding {
	return x.each(func(s *sheet) Finding {
		if s.timeout == 0 {
			f := unknown("cluster-node-timeout", "15 s are assumed, the default: after a failover nobody answers for a master, and no write counts with one copy, for longer than it need be")
			f.Do = "allow CONFIG GET to the user, or tell the service the value: --redis-node-timeout"
			return f
		}
		failover := 2*s.timeout + time.Second
		if x.Deadline == 0 || failover <= x.Deadline {
			return Finding{}
		}
		f := Finding{
			Severity: Breaks, Found: fmt.Sprintf("cluster-node-timeout is %s", s.timeout),
			Why: fmt.Sprintf("Redis promotes a replica within %s, and a request waits for %s", failover, x.Deadline),
			Do:  fmt.Sprintf("CONFIG SET cluster-node-timeout %d, or less, and the same in its configuration; or a longer --request-timeout", max(0, (x.Deadline-time.Second)/2).Milliseconds()),
		}
		if x.Assist > 0 {
			f.Severity = Weakens
			f.Why += "; --failover-assist is quicker, but leaves it to Redis where it cannot help"
		}
		return f
	})
}
