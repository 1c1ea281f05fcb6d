package bench

import (
	"bytes"
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

// A target is a process that is measured.
type target struct {
	name    string
	addr    string
	ops     string // where the service has its profiles; empty for the others
	process *os.Process
}

// start starts a program that ends with the test. Its arguments must make it listen at the address.
func start(t testing.TB, name, addr string, env []string, program string, args ...string) *target {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	x := &target{name: name, addr: addr}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of %s:\n%s", name, text)
		}
	})
	polltest.Eventually(t, name+" listens", func() bool {
		c, err := net.Dial("tcp", x.addr)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return x
}

// profile begins a CPU profile of the service and returns the function that waits for it. It lasts a second, or as much longer as the load.
func (x *target) profile(t testing.TB, file string) (wait func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		answer, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", x.ops, max(1, int(lasts.Seconds()))))
		if err != nil {
			done <- err
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", answer.Status, text)
		}
		if err == nil {
			err = os.WriteFile(file, text, 0o644)
		}
		done <- err
	}()
	return func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// startBaseline starts one of the handlers that the service is compared with.
func startBaseline(t testing.TB, mode string, nodes string) *target {
	t.Helper()
	program := filepath.Join(t.TempDir(), "baseline")
	if out, err := exec.Command("go", "build", "-o", program, "./baseline").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr := clustertest.FreeAddr(t)
	return start(t, mode, addr, nil, program, "--mode="+mode, "--redis="+nodes, "--listen="+addr)
}

// startService starts the service as the bundle has it: with the least rights in Redis, and with assistance.
func startService(t testing.TB, real *clustertest.Real, args ...string) *target {
	t.Helper()
	program, err := clustertest.ServiceBinary()
	if err != nil {
		t.Fatal(err)
	}
	access := real.Access()
	addr, ops := clustertest.FreeAddr(t), clustertest.FreeAddr(t)
	x := start(t, "sessiond", addr, []string{"SESSIOND_REDIS_USERNAME=" + access.Username, "SESSIOND_REDIS_PASSWORD=" + access.Password},
		program, append(args, "--redis="+strings.Join(access.Addrs, ","), "--insecure-no-auth", "--failover-assist=500ms",
			"--max-connections=15000", "--max-connections-per-address=15000", "--listen="+addr, "--ops-listen="+ops, "--pprof")...)
	x.ops = ops
	polltest.Eventually(t, "the service is ready", func() bool {
		answer, err := http.Get("http://" + x.addr + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return x
}

// cpu is the CPU time that the process has used so far (proc(5)).
func (x *target) cpu(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", x.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, the same on every Linux
	return time.Duration(ticks) * time.Second / perSecond
}

// memory is how much memory the process has in use, in bytes (VmRSS in proc(5)).
func (x *target) memory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// inUse is how much of the service's memory is in use, in bytes: its heap and its stacks after the garbage was collected, and as often as
// it takes until the stacks have shrunk.
func (x *target) inUse(t testing.TB) (bytes int64) {
	t.Helper()
	get := func(path string) string {
		answer, err := http.Get("http://" + x.ops + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for range 4 {
		get("/debug/pprof/heap?gc=1")
	}
	for line := range strings.Lines(get("/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "go_memstats_heap_inuse_bytes" || name == "go_memstats_stack_inuse_bytes" {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes += int64(number)
		}
	}
	return bytes
}

// create creates a session at the service and returns its ID.
func (x *target) create(t testing.TB, user, data string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"user": user, "data": data})
	if user == "" {
		body, _ = json.Marshal(map[string]string{"data": data})
	}
	answer, err := http.Post("http://"+x.addr+"/v1/sessions", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var created struct{ ID string }
	if err := json.NewDecoder(answer.Body).Decode(&created); err != nil || created.ID == "" {
		t.Fatalf("create: %s, %v", answer.Status, err)
	}
	return created.ID
}

// read returns the answer to a read at the service.
func (x *target) read(t testing.TB, id string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.addr+"/v1/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Session-ID", id)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("read: %s, %v", answer.Status, err)
	}
	return string(text)
}
