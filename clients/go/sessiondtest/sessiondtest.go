// Package sessiondtest starts sessiond for an app's own tests: the service itself, on a store in its own memory, which behaves as the one
// in Redis does, without replicas and failover.
//
// The program is $SESSIOND if that is set, otherwise sessiond in $PATH, otherwise it is built: from the repository that this package lies
// in, or from the module proxy.
package sessiondtest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

const (
	module   = "github.com/sessiond/sessiond/cmd/sessiond"
	patience = 30 * time.Second // for the service to be ready
)

// Start starts the service with further flags, and returns its base URL. It ends with the test.
func Start(t testing.TB, flags ...string) string {
	t.Helper()
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	said := &output{}
	cmd := exec.Command(program, append([]string{"--embedded", "--listen", addr, "--drain-delay", "0s"}, flags...)...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if cmd.Process.Signal(syscall.SIGTERM) == nil {
			<-ended
		}
		if t.Failed() {
			t.Logf("sessiond:\n%s", said)
		}
	})
	url := "http://" + addr
	if err := ready(url, ended); err != nil {
		t.Fatalf("%v:\n%s", err, said)
	}
	return url
}

// Client starts the service and returns a client of it.
func Client(t testing.TB, flags ...string) *sessiond.Client {
	t.Helper()
	c, err := sessiond.New(sessiond.Config{URLs: []string{Start(t, flags...)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ready waits until the service is ready.
func ready(url string, ended chan error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		answer, err := http.Get(url + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("sessiond has ended: %v", err)
		case <-tick.C:
		}
	}
	return errors.New("sessiond is not ready")
}

// program returns the path of the program. It is built at most once in a process.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SESSIOND"); path != "" {
		return path, nil
	}
	_, here, _, _ := runtime.Caller(0)
	repository := filepath.Join(filepath.Dir(here), "../../..")
	inside := filepath.Join(repository, "cmd", "sessiond")
	if _, err := os.Stat(inside); err != nil {
		if path, err := exec.LookPath("sessiond"); err == nil {
			return path, nil
		}
		repository = ""
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "sessiondtest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sessiond")
	if repository == "" {
		return path, run(exec.Command("go", "install", module+"@latest"), "GOBIN="+dir)
	}
	own := fmt.Sprintf("%s-%d", path, os.Getpid())
	build := exec.Command("go", "build", "-o", own, inside)
	build.Dir = repository
	if err := run(build); err != nil {
		return "", err
	}
	return path, os.Rename(own, path) // others may be running the one before
})

func run(build *exec.Cmd, env ...string) error {
	build.Env = append(os.Environ(), env...)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("sessiond cannot be built: %w: %s", err, out)
	}
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// An output keeps what the service logs.
type output struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
