package bench

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

var levels = flag.String("sessions", "", "numbers of sessions to grow to, separated by commas: make scale")

// How the figures of growth are taken.
const (
	growConns = 64 // connections
	idleFor   = 10 * time.Second
)

// TestScale measures what grows with sessions, with a user's sessions, with instances, and with connections.
func TestScale(t *testing.T) {
	if *levels == "" {
		t.Skip("no figures asked for: make scale")
	}
	real := clustertest.Shared(t)
	real.SetMaxMemory(t, 8<<30) // a million sessions are more than the bundle's nodes take
	service := startService(t, real)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	ids := growSessions(t, table, real, service)
	growUsers(t, table, service)
	growConnections(t, table, startService(t, real))
	growInstances(t, table, real, service, ids)
	table.Flush()
}

// growSessions creates sessions up to each number, and measures reads and writes of all of them. It returns their IDs.
func growSessions(t *testing.T, w io.Writer, real *clustertest.Real, service *target) (ids []string) {
	body := `{"data":{"v":"` + strings.Repeat("x", valueLen-len(`{"v":""}`)) + `"},"idle_ttl":"24h","max_ttl":"24h"}`
	before := real.Memory(t)
	fmt.Fprintln(w, "SESSIONS\tREDIS BYTES EACH\tSERVICE MiB\tREADS/S\tP50 ms\tP99 ms\tWRITES/S\tP50 ms\tP99 ms")
	for text := range strings.SplitSeq(*levels, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		had := len(ids)
		ids = append(ids, make([]string, n-had)...)
		each(t, service.addr, n-had, func(int) []byte {
			return request("POST", "/v1/sessions", "", "durability=async, return=minimal", "application/json", body)
		}, func(i int, id string) { ids[had+i] = id })
		polltest.Eventually(t, "the nodes have written their logs", func() bool { return real.AtRest(t) })
		cost := (real.Memory(t) - before) / int64(n)
		read := typical(t, service.addr, func(int, int, string) []byte {
			return request("GET", "/v1/session", ids[rand.N(n)], "", "", "")
		})
		write := typical(t, service.addr, func(int, int, string) []byte {
			return request("PUT", "/v1/session", ids[rand.N(n)], "", "application/json", body)
		})
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\n", n, cost, service.memory(t)>>20, read, write)
	}
	return ids
}

// growUsers measures what a user with many sessions costs.
func growUsers(t *testing.T, w io.Writer, service *target) {
	body := func(user string) string { return `{"user":"` + user + `","data":{}}` }
	fmt.Fprintln(w, "SESSIONS OF EACH USER\tLISTS OF 100/S\tP50 ms\tP99 ms\tCREATES/S\tP50 ms\tP99 ms")
	const some = 50 // users
	had := 0
	for _, n := range []int{1, 10, 100, 500} {
		user := func(i int) string { return fmt.Sprintf("grown-%d", i%some) }
		each(t, service.addr, (n-had)*some, func(i int) []byte {
			return request("POST", "/v1/sessions", "", "durability=async", "application/json", body(user(i)))
		}, nil)
		had = n
		list := typical(t, service.addr, func(int, int, string) []byte {
			return request("GET", "/v1/users/"+user(rand.N(some))+"/sessions?limit=100", "", "", "", "")
		})
		fmt.Fprintf(w, "%d\t%s\t", n, list)
		// What this adds is revoked again, or the next number would not be true.
		create := run(t, service.addr, 16, 500*time.Millisecond, func(int, int, string) []byte {
			return request("POST", "/v1/sessions", "", "durability=async", "application/json", body(user(rand.N(some))))
		})
		fmt.Fprintf(w, "%s\n", create)
		if n < 500 {
			each(t, service.addr, some, func(i int) []byte { return request("DELETE", "/v1/users/"+user(i)+"/sessions", "", "", "", "") }, nil)
			had = 0
		}
	}
}

// growConnections measures what idle keep-alive connections take of a fresh instance, each of which has sent one request: as the kernel
// counts it at once, and what is in use when the garbage has been collected.
func growConnections(t *testing.T, w io.Writer, service *target) {
	const n = 10_000
	before, used := service.memory(t), service.inUse(t)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	id := service.create(t, "", "idle")
	read := request("GET", "/v1/session", id, "", "", "")
	for range n {
		c, err := dial(service.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c.conn)
		if _, err := c.send(read); err != nil {
			t.Fatal(err)
		}
		c.in = nil
	}
	each := func(bytes int64) float64 { return float64(bytes) / n / 1024 }
	fmt.Fprintf(w, "%d idle connections take %.1f KiB each, of which %.1f are in use\n", n, each(service.memory(t)-before), each(service.inUse(t)-used))
}

// growInstances measures one to three instances: at rest, and together under load.
func growInstances(t *testing.T, w io.Writer, real *clustertest.Real, first *target, ids []string) {
	fmt.Fprintln(w, "INSTANCES\tAT REST: COMMANDS/S\tREDIS ms/s\tINSTANCE ms/s\tREADS/S\tP50 ms\tP99 ms\tCPU us\tREDIS us")
	services := []*target{first}
	for {
		used := func() (all time.Duration) {
			for _, s := range services {
				all += s.cpu(t)
			}
			return all
		}
		commands, redis, own := real.Commands(t), real.CPU(t), used()
		real.WaitFor(t, idleFor)
		perSecond := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / idleFor.Seconds() }
		fmt.Fprintf(w, "%d\t%.0f\t%.1f\t%.1f\t", len(services), float64(real.Commands(t)-commands)/idleFor.Seconds(),
			perSecond(real.CPU(t)-redis), perSecond(used()-own)/float64(len(services)))
		redis, own = real.CPU(t), used()
		f := spread(t, services, func(int, int, string) []byte { return request("GET", "/v1/session", ids[rand.N(len(ids))], "", "", "") })
		requests := f.PerSecond * lasts.Seconds()
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\n", f, float64((used()-own).Microseconds())/requests, float64((real.CPU(t)-redis).Microseconds())/requests)
		if len(services) == 3 {
			return
		}
		services = append(services, startService(t, real))
	}
}

// spread is run with the connections shared out among instances. The figure is that of all.
func spread(t *testing.T, services []*target, next func(conn, n int, id string) []byte) figure {
	figures := make([]figure, len(services))
	var wg sync.WaitGroup
	for i, s := range services {
		wg.Go(func() { figures[i] = run(t, s.addr, growConns/len(services), *lasts, next) })
	}
	wg.Wait()
	all := figures[0]
	for _, f := range figures[1:] {
		all.PerSecond += f.PerSecond
		all.P50, all.P99 = max(all.P50, f.P50), max(all.P99, f.P99)
	}
	return all
}

// typical runs a load as often as -rounds says, and returns the medians.
func typical(t *testing.T, addr string, next func(conn, n int, id string) []byte) figure {
	var figures []figure
	for range *rounds {
		figures = append(figures, run(t, addr, growConns, *lasts, next))
	}
	of := func(value func(figure) time.Duration) time.Duration {
		return time.Duration(median(figures, func(f figure) float64 { return float64(value(f)) }))
	}
	return figure{
		PerSecond: median(figures, func(f figure) float64 { return f.PerSecond }),
		P50:       of(func(f figure) time.Duration { return f.P50 }), P99: of(func(f figure) time.Duration { return f.P99 }),
	}
}

// String is the requests per second and the quantiles in milliseconds, as columns of a table.
func (f figure) String() string {
	return fmt.Sprintf("%.0f\t%.2f\t%.2f", f.PerSecond, float64(f.P50.Microseconds())/1000, float64(f.P99.Microseconds())/1000)
}

// each sends so many requests over some connections, and tells the session ID in each answer.
func each(t testing.TB, addr string, n int, next func(i int) []byte, tell func(i int, id string)) {
	t.Helper()
	var callers sync.WaitGroup
	errs := make([]error, growConns)
	for conn := range growConns {
		callers.Go(func() {
			c, err := dial(addr)
			if err != nil {
				errs[conn] = err
				return
			}
			defer c.conn.Close()
			for i := conn; i < n; i += growConns {
				id, err := c.send(next(i))
				if err != nil {
					errs[conn] = err
					return
				}
				if tell != nil {
					tell(i, id)
				}
			}
		})
	}
	callers.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		t.Fatal(errs[i])
	}
}
