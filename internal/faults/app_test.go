package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// visitors are the browsers of an app.
const visitors = 20

// appOnScs lets an app with a framework's own sessions run while a VM dies, with the instance of the service on it. Nobody is logged out,
// no request of the app fails, and nothing that it has answered is lost.
func appOnScs(t *testing.T) {
	d := &drill{t: t, real: clustertest.Start(t)}
	d.admin = d.real.Admin(t)
	d.start(setup{onVMs: true, rate: *rate / 10})
	urls := d.urls()
	urls[0], urls[1] = urls[1], urls[0] // the app begins with the instance that dies
	app := startApp(t, "../../clients/go/scs", "./demo", urls)
	end := make(chan bool)
	var all sync.WaitGroup
	stop := sync.OnceFunc(func() {
		close(end)
		all.Wait()
	})
	defer stop()
	var requests atomic.Int64
	longest := make([]time.Duration, visitors)
	for i := range visitors {
		all.Go(func() {
			v := newVisitor(t, app)
			user := fmt.Sprint("visitor-", i)
			v.send("POST", "/login?user="+user)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-tick.C:
				}
				began := time.Now()
				if got, want := v.send("GET", "/"), fmt.Sprint(user, " ", n); got != want {
					t.Errorf("got %q, want %q", got, want)
					return
				}
				v.send("POST", "/add")
				requests.Add(2)
				longest[i] = max(longest[i], time.Since(began))
			}
		})
	}
	d.lasts(quiet)
	before := requests.Load()
	d.real.KillVM(t, "vm2")
	d.lasts(10 * time.Second)
	stop()
	t.Logf("%d requests before, %d after; the longest two took %s", before, requests.Load()-before, ms(slices.Max(longest)))
	if requests.Load() < before+visitors {
		t.Error("the app stood still")
	}
	d.judge()
}

// startApp builds a program of another module, runs it beside the cluster, and returns its URL.
func startApp(t *testing.T, module, pkg string, services []string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "app")
	build := exec.Command("go", "build", "-o", program, pkg)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr := clustertest.FreeAddr(t)
	app := exec.Command(program, "--listen", addr, "--sessiond", strings.Join(services, ","))
	app.Stderr = os.Stderr
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = app.Process.Signal(syscall.SIGTERM)
		_ = app.Wait()
	})
	polltest.Eventually(t, "the app listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + addr
}

// A visitor is a browser, which keeps its cookie.
type visitor struct {
	t    *testing.T
	http *http.Client
	url  string
}

func newVisitor(t *testing.T, url string) *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{t, &http.Client{Jar: jar, Timeout: patience}, url}
}

// send sends a request, which must not fail, and returns the answer.
func (v *visitor) send(method, path string) string {
	v.t.Helper()
	r, err := http.NewRequest(method, v.url+path, nil)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	answer, err := v.http.Do(r)
	if err != nil {
		v.t.Errorf("%s %s: %v", method, path, err)
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		v.t.Errorf("%s %s: %s, %v: %s", method, path, answer.Status, err, text)
	}
	return string(text)
}
