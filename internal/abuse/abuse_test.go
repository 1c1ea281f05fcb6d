package abuse

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

var (
	attack   = flag.Bool("abuse", false, "run the attacks")
	fairness = flag.Bool("fairness", false, "measure how fair tenants are served")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(loadVariable) != "" {
		beLoad()
		return
	}
	clustertest.Main(m)
}

// A verdict is what was seen in an attack.
type verdict struct {
	attack string
	before string // what was seen before there were limits
	seen   string
	bound  string
	held   bool
}

// TestAbuse runs all attacks and prints a table.
func TestAbuse(t *testing.T) {
	if !*attack {
		t.Skip("no attacks asked for: make abuse")
	}
	nodes := redisNodes(t)
	var verdicts []verdict
	for _, attack := range []func(*testing.T, string) verdict{
		manyBatches, manyWalks, greedyTenant, idleConnections, manyStreams, manyScrapes, manyFailures,
	} {
		v := attack(t, nodes)
		if verdicts = append(verdicts, v); !v.held {
			t.Errorf("%s: %s; want %s", v.attack, v.seen, v.bound)
		}
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ATTACK\tBEFORE\tSEEN\tBOUND\tHELD")
	for _, v := range verdicts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%t\n", v.attack, v.before, v.seen, v.bound, v.held)
	}
	table.Flush()
	fmt.Println(text.String())
}

// redisNodes are the addresses of a real cluster, or of an embedded node in this process where there is none.
func redisNodes(t *testing.T) string {
	t.Helper()
	if os.Getenv("REDIS_IMAGE") == "" {
		t.Log("there is no image of Redis: the attacks run on an embedded one")
		return clustertest.StartEmbedded(t).Addr()
	}
	return strings.Join(clustertest.Shared(t).Access().Addrs, ",")
}
