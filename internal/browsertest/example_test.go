package browsertest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sessiond/sessiond/loadtest/report"
)

// example writes the report of a drill with a kill, a promotion and a recovery close together, a fault at the right edge, and
// long words in the tables.
func example(t *testing.T) string {
	t.Helper()
	ms := func(n int) report.Millis { return report.Millis(time.Duration(n) * time.Millisecond) }
	promoted, recovered := ms(640), ms(812)
	r := report.Report{
		Scenario: "vm-kill", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Lasted: ms(60000),
		Targets: []string{"http://127.0.0.1:8080", "http://127.0.0.1:8081"}, Notes: []string{"failed: fault 35s:start:vm2: sh: exit status 1: no such VM"},
		Figures: report.Figures{Reads: 21000, Writes: 9000, FailedWrites: 3, UnknownWrites: 2, ReadStall: ms(90), ReadStallShard: "5461", WriteStall: ms(812),
			WriteStallShard: "5461", Promotions: 1, Promotion: promoted, Recovery: recovered, Violations: 1, Lost: 1, Swept: 1200, CPU: 0.2},
		Checks:     []report.Check{{Name: "max-failed-reads", Limit: "0", Value: "0"}, {Name: "max-failed-writes", Limit: "0", Value: "3", Broken: true}},
		Faults:     []report.Fault{{Name: "kill vm2", At: ms(10000), Promoted: &promoted, Recovered: &recovered, FailedWrites: 3, WriteStall: ms(812)}, {Name: "start vm2", At: ms(35000), Mends: true}},
		Shards:     []report.Shard{{Name: "0", Master: "redis-1.vm1"}, {Name: "5461", Master: "redis-2.vm2", WriteGap: ms(812), WriteGapAt: ms(10000)}},
		Operations: []report.Operation{{Name: "read", Count: 21000}, {Name: "update", Count: 9000, Failed: 3, Outcomes: map[string]int{"unknown": 2}}},
		Failures:   []report.Failure{{Operation: "update", Reason: "503 urn:sessiond:outcome-unknown", Count: 3, First: ms(10100), Last: ms(10800)}},
		Findings:   []string{"lost: read of AQIDBAUG… from 03:04:16.100 to 03:04:16.101: write 7 at version 7; last acknowledged: write 8 at version 8; older than the last acknowledged write"},
		Marks: []report.Mark{{At: ms(10000), Kind: "fault", Label: "kill vm2"}, {At: ms(10640), Kind: "promotion", Label: "redis-5.vm1 promoted"},
			{At: ms(10812), Kind: "recovery", Label: "recovered"}, {At: ms(35000), Kind: "mend", Label: "start vm2"}, {At: ms(59900), Kind: "fault", Label: "kill vm3"}},
		Events:  []report.Event{{At: ms(10300), Type: "node-suspect", Text: "redis-2.vm2 is suspect: reads go to its replica, writes wait", Instance: "http://127.0.0.1:8080"}},
		Options: []report.Option{{Name: "fault-by", Value: "deploy/vm.sh $1 ${2#vm}"}},
	}
	for s := range 60 {
		at := report.Second{At: ms(s * 1000), Span: 1,
			Reads:  report.SecondOf{Count: 350 + s%7, P50: ms(1), P99: ms(4), Max: ms(9 + s%5)},
			Writes: report.SecondOf{Count: 150 - s%7, P50: ms(2), P99: ms(6), Max: ms(15 + s%9)}}
		if s == 10 {
			at.Reads.Max, at.Writes = ms(90), report.SecondOf{Count: 150, Failed: 3, NotSent: 2, P50: ms(3), P99: ms(700), Max: ms(1200)}
		}
		r.Timeline = append(r.Timeline, at)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := r.WriteHTML(f); err != nil {
		t.Fatal(err)
	}
	return path
}
