package abuse

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// descriptors is how many descriptors an instance may open.
const descriptors = 512

// An instance is a process of the service with two tenants.
type instance struct {
	t       *testing.T
	url     string
	ops     string // the URL of metrics, events and page, which need no key there
	log     string // a file
	process *os.Process
}

// startInstance starts one that ends with the test.
func startInstance(t *testing.T, nodes string, flags ...string) *instance {
	t.Helper()
	binary, err := clustertest.ServiceBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := &instance{t: t, log: filepath.Join(dir, "log")}
	log, err := os.Create(i.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	listen, ops := clustertest.FreeAddr(t), clustertest.FreeAddr(t)
	args := append([]string{
		"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, descriptors), "sh", binary, "serve", "--listen=" + listen, "--ops-listen=" + ops,
		"--redis=" + nodes, "--key-file=" + keyFile(t, dir), "--drain-delay=0",
	}, flags...)
	cmd := exec.Command("sh", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.process, i.url, i.ops = cmd.Process, "http://"+listen, "http://"+ops
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	polltest.Eventually(t, "the service serves", func() bool { return i.get("", "/livez") == http.StatusOK })
	return i
}

// keyFile makes one in which each tenant's name is its key.
func keyFile(t *testing.T, dir string) string {
	t.Helper()
	key := func(tenant string) string {
		return fmt.Sprintf(`{"sha256":"%x","tenant":%q,"scopes":["read","write","admin"]}`, sha256.Sum256([]byte(tenant)), tenant)
	}
	path := filepath.Join(dir, "keys.json")
	text := `{"tenants":{"greedy":{},"neighbour":{}},"keys":[` + key("greedy") + "," + key("neighbour") + "]}"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// impatient gives up after some seconds, and keeps up to 50 connections.
var impatient = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 50}}

// send sends a request of a tenant and returns the status and the body; 0 if there was no answer.
func send(ctx context.Context, client *http.Client, tenant, method, url, body string) (int, []byte) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if tenant != "" {
		r.Header.Set("Authorization", "Bearer "+tenant)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	return answer.StatusCode, text
}

func (i *instance) get(tenant, path string) int {
	status, _ := send(i.t.Context(), impatient, tenant, http.MethodGet, i.url+path, "")
	return status
}

// create creates a session with so many bytes of data, and returns its ID.
func (i *instance) create(tenant string, size int) string {
	i.t.Helper()
	status, body := send(i.t.Context(), impatient, tenant, http.MethodPost, i.url+"/v1/sessions", `{"data":"`+strings.Repeat("x", size)+`"}`)
	var created struct{ ID string }
	if err := json.Unmarshal(body, &created); status != http.StatusCreated || err != nil {
		i.t.Fatalf("create: %d %s", status, body)
	}
	return created.ID
}

// ready waits until the service serves a tenant.
func (i *instance) ready() {
	i.t.Helper()
	polltest.Eventually(i.t, "the service is ready", func() bool { return i.get("", "/readyz") == http.StatusOK })
}

// peakMemory is the most memory that the process had at any time, in bytes (VmHWM of proc(5)).
func (i *instance) peakMemory() int64 {
	i.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.process.Pid))
	if err != nil {
		i.t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				i.t.Fatal(err)
			}
			return kib << 10
		}
	}
	i.t.Fatal("there is no VmHWM")
	return 0
}

// dial opens a connection to one of the instance's URLs from one of this host's loopback addresses.
func (i *instance) dial(url, from string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	return d.DialContext(i.t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
}
