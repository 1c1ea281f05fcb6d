package watch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
)

// reportOf makes a report on the nodes of a world.
func (x *world) reportOf(change func(*doctor.Report)) doctor.Report {
	var r doctor.Report
	for _, n := range x.view.Nodes {
		r.Nodes = append(r.Nodes, doctor.Node{Node: n})
	}
	change(&r)
	return r
}

func lacking(id string, lacks ...doctor.Ability) func(*doctor.Report) {
	return func(r *doctor.Report) {
		for i := range r.Nodes {
			if r.Nodes[i].ID == id {
				r.Nodes[i].Lacks = lacks
			}
		}
	}
}

// What the user may not do on a replica is not tried there, and everything else is.
func TestWhatIsDeniedIsNotTried(t *testing.T) {
	inWorld(t, func(x *world) {
		s := x.shard("m1")
		assisted := func() bool {
			e, _ := newAssistant(x.w, limit).gather(s)
			return e.replica
		}
		for _, c := range []struct {
			lacks          []doctor.Ability
			reads, assists bool
		}{
			{nil, true, true},
			{[]doctor.Ability{doctor.ReplicaReads}, false, true},
			{[]doctor.Ability{doctor.Assistance}, true, false},
			{[]doctor.Ability{doctor.Census, doctor.Roles}, true, true},
		} {
			x.w.diagnose(x.reportOf(lacking("r1", c.lacks...)))
			_, _, stale := s.Stale()
			if s.HasCandidate() != c.reads || stale != c.reads || assisted() != c.assists {
				t.Errorf("without %v: reads %t, stale reads %t, assistance %t", c.lacks, s.HasCandidate(), stale, assisted())
			}
			r1, _ := x.w.Topology().View.Node("r1")
			if got := x.w.snapshotOf(x.w.Topology(), r1).Lacks; !slices.Equal(got, c.lacks) {
				t.Errorf("without %v: the snapshot says %v", c.lacks, got)
			}
			if !x.shard("m2").HasCandidate() {
				t.Errorf("without %v: another shard has no replica reads", c.lacks)
			}
		}
	})
}

// A finding is told when it comes and when it goes, and not in between. A node that does not answer keeps its findings.
func TestFindingsAreToldOnce(t *testing.T) {
	inWorld(t, func(x *world) {
		evicts := doctor.Finding{Check: "eviction", Severity: doctor.Breaks, Node: "redis-1.vm1", Found: "it evicts"}
		migrates := doctor.Finding{Check: "replica-migration", Severity: doctor.Weakens, Node: "redis-2.vm2", Found: "they migrate"}
		examined := func(change func(*doctor.Report), want ...EventType) {
			t.Helper()
			told := len(x.types())
			x.w.tellFindings(x.w.diagnose(x.reportOf(change)))
			if got := x.types()[told:]; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		both := func(r *doctor.Report) { r.Findings = []doctor.Finding{evicts, migrates} }
		examined(func(*doctor.Report) {})
		examined(both, PromiseBroken, FindingMade)
		examined(both)
		examined(func(r *doctor.Report) {
			again := evicts
			again.Found = "it evicts, and this time it says so in other words"
			r.Findings = []doctor.Finding{again, migrates}
		})
		examined(func(r *doctor.Report) {
			for i := range r.Nodes {
				if r.Nodes[i].Name() == evicts.Node {
					r.Nodes[i].Err = errors.New("no answer")
				}
			}
			r.Findings = []doctor.Finding{{Check: "answers", Severity: doctor.Unknown, Node: evicts.Node}, migrates}
		})
		if s := x.w.Snapshot(); len(s.Findings) != 3 || s.Examined.IsZero() {
			t.Errorf("while a node is silent: %v", s.Findings)
		}
		examined(func(r *doctor.Report) { r.Findings = []doctor.Finding{migrates} }, FindingGone)
		examined(func(*doctor.Report) {}, FindingGone)
	})
}

// The nodes are examined once there is a topology, then now and then, and soon after a change.
func TestWhenToExamine(t *testing.T) {
	inWorld(t, func(x *world) {
		x.w.cfg.Examine = examineAfter * 10
		due := func() time.Duration { return time.Until(x.w.examined.due) }
		if due() > 0 {
			t.Errorf("the first one is due in %s", due())
		}
		var questions sync.WaitGroup
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		x.w.examineWhenDue(ended, time.Now(), &questions)
		questions.Wait()
		if due() != x.w.cfg.Examine || x.w.examined.busy {
			t.Errorf("the next one is due in %s, busy %t", due(), x.w.examined.busy)
		}
		x.w.examineSoon()
		if due() != examineAfter {
			t.Errorf("after a change it is due in %s", due())
		}
		time.Sleep(examineAfter / 2)
		x.w.examineSoon()
		if due() != examineAfter/2 {
			t.Errorf("a second change puts it off: it is due in %s", due())
		}
		x.w.cfg.Examine = 0
		time.Sleep(examineAfter)
		x.w.examineWhenDue(ended, time.Now(), &questions)
		if x.w.examined.busy {
			t.Error("it examines although it must not")
		}
	})
}
