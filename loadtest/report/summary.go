package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteSummary writes the tables printed at the end of a run.
func (r Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	f := r.Figures
	fmt.Fprintf(&b, "%s, %s of load on %s\n\n", r.Scenario, r.Lasted, strings.Join(r.Targets, ", "))
	table(&b, [][]string{
		{"", "reads", "writes"},
		{"requests", fmt.Sprint(f.Reads), fmt.Sprint(f.Writes)},
		{"failed", fmt.Sprint(f.FailedReads), fmt.Sprintf("%d (%d of unknown outcome)", f.FailedWrites, f.UnknownWrites)},
		{"p50", f.ReadLatency.P50.String(), f.WriteLatency.P50.String()},
		{"p99", f.ReadLatency.P99.String(), f.WriteLatency.P99.String()},
		{"p99 from sending", f.ReadLatency.P99Sent.String(), f.WriteLatency.P99Sent.String()},
		{"slowest", f.ReadLatency.Max.String(), f.WriteLatency.Max.String()},
		{"longest stall", stall(f.ReadStall, f.ReadStallShard), stall(f.WriteStall, f.WriteStallShard)},
	})
	b.WriteByte('\n')
	table(&b, [][]string{
		{"sessions lost", fmt.Sprint(f.Lost)},
		{"resurrected", fmt.Sprint(f.Resurrected)},
		{"stale, early-expired, corrupt, duplicated", fmt.Sprintf("%d, %d, %d, %d", f.Stale, f.EarlyExpired, f.Corrupt, f.Duplicated)},
		{"read back after the load", fmt.Sprintf("%d (%d could not be read)", f.Swept, f.Unread)},
		{"arrivals not sent", fmt.Sprintf("%d (%d too many in flight, %d no free session)", f.NotSent, f.InFlightFull, f.NoSession)},
		{"promotion time", promotionTime(f)},
		{"load generator", fmt.Sprintf("%.2f cores", f.CPU)},
	})
	if len(r.Faults) > 0 {
		b.WriteByte('\n')
		rows := [][]string{{"fault", "promotion", "recovery", "reads failed", "writes failed", "read stall", "write stall"}}
		for _, x := range r.Faults {
			rows = append(rows, []string{x.At.String() + " " + x.Name, after(x.Promoted), after(x.Recovered), fmt.Sprint(x.FailedReads),
				fmt.Sprint(x.FailedWrites), x.ReadStall.String(), x.WriteStall.String()})
		}
		table(&b, rows)
	}
	for _, x := range r.Failures {
		fmt.Fprintf(&b, "\nfailed: %d %s: %s, from %s to %s", x.Count, x.Operation, x.Reason, x.First, x.Last)
	}
	for i, x := range r.Findings {
		if i == 5 {
			fmt.Fprintf(&b, "\nfound: %d more, see the report", len(r.Findings)-i)
			break
		}
		fmt.Fprintf(&b, "\nfound: %s", x)
	}
	for _, x := range r.Notes {
		fmt.Fprintf(&b, "\nnote: %s", x)
	}
	b.WriteByte('\n')
	for _, c := range r.Checks {
		if c.Broken {
			fmt.Fprintf(&b, "BROKEN: --%s %s, was %s\n", c.Name, c.Limit, c.Value)
		}
	}
	if len(r.Checks) > 0 && !r.Broken() {
		fmt.Fprintf(&b, "no limit is broken (%d checked)\n", len(r.Checks))
	}
	_, err := io.WriteString(w, strings.TrimLeft(b.String(), "\n"))
	return err
}

func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	t.Flush()
}

func stall(d Millis, shard string) string {
	if shard == "" {
		return "none"
	}
	return fmt.Sprintf("%s (shard %s)", d, shard)
}

func promotionTime(f Figures) string {
	if f.Promotions == 0 {
		return "none seen"
	}
	return fmt.Sprintf("%s (%d seen)", f.Promotion, f.Promotions)
}

func after(d *Millis) string {
	if d == nil {
		return "-"
	}
	return d.String()
}
