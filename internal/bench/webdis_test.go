package bench

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

// startWebdis starts webdis, an HTTP server in C in front of one Redis, which it has to itself: it knows no cluster. It returns nil where
// either is not installed.
func startWebdis(t testing.TB) *target {
	t.Helper()
	if _, err := exec.LookPath("webdis"); err != nil {
		return nil
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil
	}
	host, port, _ := net.SplitHostPort(clustertest.FreeAddr(t))
	start(t, "redis", net.JoinHostPort(host, port), nil, "redis-server", "--bind", host, "--port", port, "--save", "")
	addr := clustertest.FreeAddr(t)
	_, own, _ := net.SplitHostPort(addr)
	redisPort, _ := strconv.Atoi(port)
	ownPort, _ := strconv.Atoi(own)
	config, _ := json.Marshal(map[string]any{
		"redis_host": host, "redis_port": redisPort, "http_host": host, "http_port": ownPort, "threads": 2, "pool_size": 20,
		"daemonize": false, "verbosity": 0, "logfile": os.DevNull, "websockets": false, "database": 0,
	})
	path := filepath.Join(t.TempDir(), "webdis.json")
	if err := os.WriteFile(path, config, 0o644); err != nil {
		t.Fatal(err)
	}
	return start(t, "webdis", addr, nil, "webdis", path)
}

// fill lets webdis answer with the same bytes as the others.
func (x *target) fill(t testing.TB, keys []string, value string) {
	t.Helper()
	run(t, x.addr, 1, time.Second, func(_, n int, _ string) []byte {
		body := "SET/" + keys[n%len(keys)] + "/" + strings.NewReplacer("/", "%2f", ".", "%2e").Replace(value)
		return request("POST", "/", "", "", "application/x-www-form-urlencoded", body)
	})
}
