// Package doctor examines the nodes of a Redis Cluster: what the user may do there and how they are set. It tells which promises
// of the service do not hold on them, why, and what to set. It changes nothing: all its questions are reads, and whether a
// command is permitted is asked without running it.
package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// Severity is what a finding means for a promise.
type Severity string

const (
	Breaks  Severity = "breaks"  // the promise does not hold
	Weakens Severity = "weakens" // the promise holds, but would not after one more change, or something that is no promise is missing
	Unknown Severity = "unknown" // the node does not tell
)

// Severities are all of them, the worst first.
var Severities = []Severity{Breaks, Weakens, Unknown}

// A Finding is something on a node that a promise of the service does not go with. All texts are plain English.
type Finding struct {
	Check    string   `json:"check"` // name of the check, which is stable
	Severity Severity `json:"severity"`
	Node     string   `json:"node"`    // name of the node
	Found    string   `json:"found"`   // what is so on the node
	Promise  string   `json:"promise"` // what the service promises
	Why      string   `json:"why"`     // what this does to the promise
	Do       string   `json:"do"`      // what to set
}

// A Check is one thing that is examined.
type Check struct {
	Name    string // stable
	Promise string // what the service promises, and cannot keep on a node that fails the check
	judge   func(*examination) []Finding
	ofView  bool // it judges the view, not what the node says
}

// Checks are all checks, in the order in which findings are told.
var Checks = []Check{
	{"answers", "a node that is up serves", judgeAnswers, true},
	{"engine", "every call works", judgeEngine, false},
	{"permissions", "every call works, and goes on working while a node is down", judgePermissions, false},
	{"eviction", "a session lives until it expires or is revoked, and what is revoked stays revoked", judgeEviction, false},
	{"persistence", "what was acknowledged survives the restart of a node", judgePersistence, false},
	{"replicas", "what was acknowledged survives the loss of a node", judgeReplicas, true},
	{"placement", "what was acknowledged survives the loss of a VM", judgePlacement, true},
	{"replica-migration", "what was acknowledged survives the loss of a VM", judgeMigration, false},
	{"full-coverage", "the loss of one shard leaves the others serving", judgeCoverage, false},
	{"node-timeout", "a write waits for the promotion of a replica, and does not fail", judgeNodeTimeout, false},
	{"clock", "a session expires at most a second late", judgeClock, false},
}

// Terms are the settings of the service that the cluster's are judged by.
type Terms struct {
	Deadline time.Duration // of a request; 0 if unknown
	Assist   time.Duration // the silence of a master after which its replica is asked to take over; 0 if Redis decides alone
}

// A Report is the outcome of an examination.
type Report struct {
	Findings []Finding // by check, in the order of Checks, then by node
	Nodes    []Node    // in the order of the view
}

// A Node is one that was examined.
type Node struct {
	view.Node
	Engine string    // name and version of its software; empty if it does not tell
	Lacks  []Ability // what the user may not do there
	Err    error     // why it does not answer; nil if it does
}

// Lacks are the abilities that the service lacks on the node with the ID.
func (r Report) Lacks(id string) []Ability {
	for _, n := range r.Nodes {
		if n.ID == id {
			return n.Lacks
		}
	}
	return nil
}

// After returns the report with what an earlier one says of the nodes that have not answered this time.
func (r Report) After(earlier Report) Report {
	var findings []Finding
	r.Nodes = slices.Clone(r.Nodes)
	silent := map[string]bool{} // by name
	for i, n := range r.Nodes {
		if n.Err != nil {
			r.Nodes[i].Lacks = earlier.Lacks(n.ID)
			silent[n.Name()] = true
		}
	}
	for _, c := range Checks {
		findings = append(findings, of(r.Findings, c.Name, func(Finding) bool { return true })...)
		if !c.ofView {
			findings = append(findings, of(earlier.Findings, c.Name, func(f Finding) bool { return silent[f.Node] })...)
		}
	}
	r.Findings = findings
	return r
}

// of returns the findings of a check for which a condition holds.
func of(findings []Finding, check string, holds func(Finding) bool) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Check != check || !holds(f) })
}

// Count counts the findings of one severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// An examination is what the nodes have said, and what they are judged by.
type examination struct {
	Terms
	view   view.View
	sheets []sheet // of each reachable node, in the order of the view
}

// Examine asks every node of a view that can be asked, all at once, and judges what they say. at returns the peer at an address.
// A node that has not answered when the context ends is reported as such.
func Examine(ctx context.Context, v view.View, at func(addr string) *peer.Peer, terms Terms) Report {
	x := &examination{Terms: terms, view: v}
	for _, n := range v.Nodes {
		if n.Reachable() {
			x.sheets = append(x.sheets, sheet{node: n})
		}
	}
	var wg sync.WaitGroup
	for i := range x.sheets {
		wg.Go(func() { x.sheets[i].fill(ctx, at(x.sheets[i].node.Addr)) })
	}
	wg.Wait()
	return x.report()
}

func (x *examination) report() Report {
	var r Report
	for _, c := range Checks {
		for _, f := range c.judge(x) {
			f.Check, f.Promise = c.Name, c.Promise
			r.Findings = append(r.Findings, f)
		}
	}
	for _, s := range x.sheets {
		r.Nodes = append(r.Nodes, Node{s.node, s.engine(), s.lacks(), s.err})
	}
	return r
}

// each judges every node that has answered. judge returns a finding without a severity if there is nothing to tell.
func (x *examination) each(judge func(*sheet) Finding) []Finding {
	var found []Finding
	for i := range x.sheets {
		s := &x.sheets[i]
		if s.err != nil {
			continue
		}
		if f := judge(s); f.Severity != "" {
			f.Node = s.node.Name()
			found = append(found, f)
		}
	}
	return found
}

// where returns the sheets for which a condition holds.
func (x *examination) where(holds func(sheet) bool) []sheet {
	return slices.DeleteFunc(slices.Clone(x.sheets), func(s sheet) bool { return !holds(s) })
}
