package main

import (
	"context"
	"flag"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

var oldBinary = flag.String("old", "", "the binary of an older version, which TestRollingUpgrade runs beside this one")

// An upgrade from 0.1.0 goes in two rolls, the first with --record-format=1. It logs nobody out, and meanwhile each instance
// reads and writes what the others store.
func TestRollingUpgrade(t *testing.T) {
	if *oldBinary == "" {
		t.Skip("it needs -old; make test-upgrade builds that version")
	}
	real := clustertest.Start(t)
	old, stop := serveOld(t, real)
	formatOf := func(format string) serveCmd {
		cfg := onCluster(t, real)
		cfg.RecordFormat = int(format[0] - '0')
		return cfg
	}
	first, _ := serve(t, formatOf("1"))
	ready(t, first)
	var ids []string
	for range 10 { // every shard gets some
		ids = append(ids, create(t, old, "alice"), create(t, first, "alice"), create(t, old, ""), create(t, first, ""))
	}
	ids = eachWorks(t, ids, old, first)
	stop()

	second, _ := serve(t, formatOf("2"))
	ready(t, second)
	for range 10 {
		ids = append(ids, create(t, second, "alice"), create(t, second, ""))
	}
	eachWorks(t, ids, first, second)
}

// serveOld runs the old version on the cluster until the test ends, or stop is called.
func serveOld(t *testing.T, real *clustertest.Real) (url string, stop func()) {
	t.Helper()
	addr := clustertest.FreeAddr(t)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, *oldBinary, "serve", "--listen", addr, "--drain-delay=0", "--redis", strings.Join(real.Config().Addrs, ","))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		cancel()
		cmd.Wait()
	}
	t.Cleanup(stop)
	polltest.Eventually(t, "the old version serves", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	ready(t, "http://"+addr)
	return "http://" + addr, stop
}

func ready(t *testing.T, url string) {
	t.Helper()
	polltest.Eventually(t, "the service is ready", func() bool {
		status, _, _ := call(t, "GET", url+"/readyz", "")
		return status == http.StatusOK
	})
}

// create returns the ID of a new session.
func create(t *testing.T, url, user string) string {
	t.Helper()
	body := `{"data":{"n":0}}`
	if user != "" {
		body = `{"data":{"n":0},"user":"` + user + `"}`
	}
	status, header, answer := call(t, "POST", url+"/v1/sessions", body)
	if status != http.StatusCreated {
		t.Fatalf("create: got %d %s", status, answer)
	}
	return header.Get("Session-ID")
}

// eachWorks reads, writes and rotates each session at each instance, and returns the new IDs.
func eachWorks(t *testing.T, ids []string, urls ...string) []string {
	t.Helper()
	for i, id := range ids {
		for _, url := range urls {
			for _, write := range []struct{ method, path, kind, body string }{
				{"GET", "/v1/session", "", ""},
				{"PUT", "/v1/session", "application/json", `{"data":{"n":1}}`},
				{"PATCH", "/v1/session", "application/merge-patch+json", `{"data":{"m":2}}`},
				{"POST", "/v1/session/touch", "application/json", `{}`},
				{"POST", "/v1/session/rotate", "application/json", `{}`},
			} {
				status, header, answer := call(t, write.method, url+write.path, write.body, "Session-ID", id, "Content-Type", write.kind)
				if status != http.StatusOK && status != http.StatusCreated {
					t.Fatalf("session %d: %s %s: got %d %s", i, write.method, write.path, status, answer)
				}
				if next := header.Get("Session-ID"); next != "" {
					id = next
				}
			}
		}
		ids[i] = id
	}
	for _, url := range urls {
		status, _, body := call(t, "GET", url+"/v1/users/alice/sessions", "")
		if n := strings.Count(body, `"handle"`); status != http.StatusOK || n < len(ids)/2 {
			t.Errorf("the list: got %d with %d sessions of %d", status, n, len(ids)/2)
		}
	}
	return ids
}
