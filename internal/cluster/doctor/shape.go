package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// judgeAnswers finds the nodes that do not answer. Nothing else is known of them.
func judgeAnswers(x *examination) []Finding {
	var found []Finding
	for _, s := range x.where(func(s sheet) bool { return s.err != nil }) {
		found = append(found, Finding{
			Severity: Unknown, Node: s.node.Name(), Found: "does not answer: " + s.err.Error(), Why: "nothing else is known of it",
			Do: "bring it back, or let the service in",
		})
	}
	return found
}

// oldest is the first major version with EVAL_RO, and with redis.acl_check_cmd.
const oldest = 7

// judgeEngine finds engines that lack commands.
func judgeEngine(x *examination) []Finding {
	return x.each(func(s *sheet) Finding {
		major, _, _ := strings.Cut(s.info["redis_version"], ".") // a Valkey states the Redis that it is compatible with
		n, err := strconv.Atoi(major)
		switch {
		case err != nil:
			return Finding{
				Severity: Unknown, Found: "does not tell its version", Why: "Redis 7.0 or newer is needed, or Valkey",
				Do: "allow INFO to the user",
			}
		case n < oldest:
			return Finding{
				Severity: Breaks, Found: "runs " + s.engine(), Why: "it has no read-only scripts (EVAL_RO), by which sessions are listed",
				Do: "upgrade it to Redis 7.0 or newer, or to Valkey",
			}
		}
		return Finding{}
	})
}

// judgeReplicas finds masters without a live replica.
func judgeReplicas(x *examination) []Finding {
	var found []Finding
	for _, n := range x.view.WithoutReplica() {
		found = append(found, Finding{
			Severity: Breaks, Node: n.Name(), Found: "has no live replica",
			Why: "if it is lost, so are its sessions, and its writes count with one copy",
			Do:  "bring its replica back, or add one on another VM (CLUSTER REPLICATE)",
		})
	}
	return found
}

// judgePlacement finds shards that are on one VM, as a whole.
func judgePlacement(x *examination) []Finding {
	var found []Finding
	for _, m := range x.view.Nodes {
		replicas := x.view.ReplicasOf(m.ID)
		elsewhere := slices.ContainsFunc(replicas, func(r view.Node) bool { return r.VM() != m.VM() })
		if m.Slots > 0 && len(replicas) > 0 && !elsewhere {
			found = append(found, Finding{
				Severity: Breaks, Node: m.Name(), Found: "shares " + m.VM() + " with all of its replicas",
				Why: "if that VM is lost, so are the shard's sessions",
				Do:  "move a replica to another VM; if they are on several, tell the service which: --vm-map",
			})
		}
	}
	return found
}

// maxSkew is the difference of two nodes' clocks at which a session may expire later than is promised, after a failover.
const maxSkew = time.Second

// judgeClock finds nodes whose clocks differ from those of most others.
func judgeClock(x *examination) []Finding {
	timed := x.where(func(s sheet) bool { return s.timed })
	if len(timed) == 0 {
		return nil
	}
	slices.SortFunc(timed, func(a, b sheet) int { return cmp.Compare(a.ahead, b.ahead) })
	middle := timed[len(timed)/2]
	return x.each(func(s *sheet) Finding {
		differs := s.ahead - middle.ahead
		if !s.timed || differs.Abs()-s.slack-middle.slack <= maxSkew {
			return Finding{}
		}
		way := "ahead of"
		if differs < 0 {
			way = "behind"
		}
		return Finding{
			Severity: Breaks, Found: fmt.Sprintf("its clock is %s %s the others'", differs.Abs().Round(time.Second), way),
			Why: "after a failover, sessions expire earlier or later by as much",
			Do:  "synchronise the clocks of the VMs (NTP)",
		}
	})
}
