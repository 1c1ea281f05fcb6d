package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
)

type doctorCmd struct {
	Redis          redisFlags    `embed:""`
	RequestTimeout time.Duration `default:"8s" help:"Deadline of a request of the service, which the node timeout is judged by (${default})."`
	FailoverAssist time.Duration `placeholder:"DURATION" help:"The --failover-assist of the service."`
	JSON           bool          `name:"json" env:"-" help:"Print the findings as JSON."`
	Timeout        time.Duration `default:"5s" env:"-" help:"How long to wait for the nodes to respond (${default})."`
}

// Run examines the cluster and prints what it finds. It fails if a promise does not hold.
func (d *doctorCmd) Run(ctx context.Context, c console) error {
	client, err := d.Redis.admin(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	report, err := client.Examine(ctx, doctor.Terms{Deadline: d.RequestTimeout, Assist: d.FailoverAssist})
	if err != nil {
		return err
	}
	printed := printReport
	if d.JSON {
		printed = printReportJSON
	}
	if err := printed(c.out, report); err != nil {
		return err
	}
	if n := report.Count(doctor.Breaks); n > 0 {
		return fmt.Errorf("%d findings break a promise", n)
	}
	return nil
}

// A diagnosis is a finding with all the nodes that it was made on.
type diagnosis struct {
	doctor.Finding
	nodes []string
}

// diagnoses are the findings of a check. Those that differ in nothing but the node are one.
func diagnoses(r doctor.Report, check string) []diagnosis {
	var all []diagnosis
	for _, f := range r.Findings {
		if f.Check != check {
			continue
		}
		node := f.Node
		f.Node = ""
		i := slices.IndexFunc(all, func(d diagnosis) bool { return d.Finding == f })
		if i < 0 {
			i = len(all)
			all = append(all, diagnosis{Finding: f})
		}
		all[i].nodes = append(all[i].nodes, node)
	}
	return all
}

// verdicts say what a finding means for a promise.
var verdicts = map[doctor.Severity]string{doctor.Breaks: "BROKEN", doctor.Weakens: "weakened", doctor.Unknown: "unknown"}

// printReport prints a line for each check and each finding, and below each finding why it is one and what to do.
func printReport(out io.Writer, r doctor.Report) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tPROMISE\tVERDICT\tNODES\tFOUND")
	var notes []string // for each line of the table
	for _, c := range doctor.Checks {
		found := diagnoses(r, c.Name)
		if len(found) == 0 {
			fmt.Fprintf(t, "%s\t%s\tholds\tall\t\n", c.Name, c.Promise)
			notes = append(notes, "")
		}
		for _, d := range found {
			nodes := strings.Join(d.nodes, ", ")
			if len(d.nodes) == len(r.Nodes) && len(d.nodes) > 1 {
				nodes = "all"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Name, c.Promise, verdicts[d.Severity], nodes, d.Found)
			notes = append(notes, fmt.Sprintf("    why: %s\n    do:  %s\n", d.Why, d.Do))
		}
	}
	err := t.Flush()
	for i, line := range slices.Collect(strings.Lines(text.String())) {
		_, printed := io.WriteString(out, strings.TrimRight(line, " \n")+"\n")
		err = errors.Join(err, printed)
		if i > 0 {
			_, printed = io.WriteString(out, notes[i-1])
			err = errors.Join(err, printed)
		}
	}
	_, printed := fmt.Fprintf(out, "%d nodes of %s: %d findings break a promise, %d weaken one, %d are unknown\n", len(r.Nodes), engines(r),
		r.Count(doctor.Breaks), r.Count(doctor.Weakens), r.Count(doctor.Unknown))
	return errors.Join(err, printed)
}

// engines names the software of the nodes.
func engines(r doctor.Report) string {
	var names []string
	for _, n := range r.Nodes {
		if n.Engine != "" && !slices.Contains(names, n.Engine) {
			names = append(names, n.Engine)
		}
	}
	if len(names) == 0 {
		return "an unknown engine"
	}
	return strings.Join(names, ", ")
}

// printReportJSON prints the findings as /v1/cluster shows them.
func printReportJSON(out io.Writer, r doctor.Report) error {
	return json.MarshalWrite(out, map[string]any{"findings": append([]doctor.Finding{}, r.Findings...)}, jsontext.Multiline(true))
}
