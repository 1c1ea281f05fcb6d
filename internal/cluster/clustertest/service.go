package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

// ServiceOptions say how to start an instance of the service.
type ServiceOptions struct {
	// Args are flags of sessiond serve. They follow, and override, --redis with all nodes (unless Args contain it),
	// --listen 0.0.0.0:8080, --insecure-no-auth and --log-level warn.
	Args []string

	// VM makes the service one of a VM's containers, so that faults of the VM hit it too. Empty means a machine of its own.
	VM string

	// LiveOnly waits only until the service serves (/livez), not until it is ready.
	LiveOnly bool
}

// A Service is an instance of the service in a container on the cluster's network.
type Service struct {
	Name string // for Cut and Heal
	URL  string // http://ip:port, without a slash at the end

	ip        netip.Addr
	vm        string
	container *testcontainers.DockerContainer
}

// services are the services of a cluster in the order of their starts, including those that have ended.
type services struct {
	mu   sync.Mutex
	list []*Service // guarded by mu; nil while one is being started
}

func (s *services) all() []*Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.list), func(s *Service) bool { return s == nil })
}

// StartService starts an instance of this repository's service, built once for all tests of the binary, and returns when
// it is ready. It ends with the test. If the test has failed, it logs the service's log.
func (r *Real) StartService(t testing.TB, options ServiceOptions) *Service {
	t.Helper()
	r.needDirect(t)
	binary, err := ServiceBinary()
	if err != nil {
		t.Fatal(err)
	}
	r.services.mu.Lock()
	i := len(r.services.list)
	r.services.list = append(r.services.list, nil)
	r.services.mu.Unlock()

	s := &Service{Name: fmt.Sprintf("sessiond-%d", i+1), ip: r.ip(serviceIPs + i), vm: options.VM}
	s.URL = "http://" + s.ip.String() + ":8080"
	args := []string{"/sessiond", "serve", "--listen=0.0.0.0:8080", "--insecure-no-auth", "--allowed-host=" + s.Name, "--log-level=warn",
		"--redis-username=" + serviceUser, "--redis-password=" + password}
	if !slices.ContainsFunc(options.Args, func(a string) bool { return a == "--redis" || strings.HasPrefix(a, "--redis=") }) {
		args = append(args, "--redis="+strings.Join(r.Access().Addrs, ","))
	}
	binds, ofTLS := r.tls.mounts()
	args = append(args, ofTLS...)
	s.container, err = r.run(t.Context(), s.Name, s.ip, "8080/tcp",
		testcontainers.WithEntrypoint(append(args, options.Args...)...),
		testcontainers.WithHostConfigModifier(func(host *mobycontainer.HostConfig) {
			host.Binds = append(append(host.Binds, binds...), binary+":/sessiond:ro") // copying takes longer than a test
		}),
	)
	if s.container != nil {
		t.Cleanup(func() { s.remove(t) })
	}
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	r.services.mu.Lock()
	r.services.list[i] = s
	r.services.mu.Unlock()

	path := "/readyz"
	if options.LiveOnly {
		path = "/livez"
	}
	probe := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r.poll(t, s.Name+" answers "+path, func() bool {
		answer, err := probe.Get(s.URL + path)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return s
}

// Stop asks the service to end (SIGTERM) and waits until it has. It fails the test if the service had to be killed after
// 15 s, or if its exit status is not 0.
func (s *Service) Stop(t testing.TB) {
	t.Helper()
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	if err := stop(t.Context(), engine, s.container.GetContainerID(), 15*time.Second); err != nil {
		t.Errorf("%s: %v", s.Name, err)
	}
}

// Kill ends the service at once (SIGKILL).
func (s *Service) Kill(t testing.TB) {
	t.Helper()
	none := time.Duration(0)
	if err := s.container.Stop(t.Context(), &none); err != nil {
		t.Errorf("%s: %v", s.Name, err)
	}
}

// remove ends the service with its test.
func (s *Service) remove(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if t.Failed() {
		if log, err := s.container.Logs(ctx); err == nil {
			text, _ := io.ReadAll(log)
			t.Logf("log of %s:\n%s", s.Name, text)
		}
	}
	if err := s.container.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil {
		t.Error(err)
	}
}

// FreeAddr returns an address on loopback where nobody listens, for a program that the test starts.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ServiceBinary returns the path of this repository's service, built once for all tests of the binary. [Main] removes it.
func ServiceBinary() (string, error) {
	shared.build.Do(func() {
		if shared.dir, shared.buildErr = os.MkdirTemp("", "sessiond-test-"); shared.buildErr != nil {
			return
		}
		build := exec.Command("go", "build", "-o", shared.dir, "./cmd/sessiond")
		build.Dir = inRepository("")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // the image has a different C library or none
		if out, err := build.CombinedOutput(); err != nil {
			shared.buildErr = errors.Join(fmt.Errorf("building the service: %w", err), errors.New(string(out)))
		}
	})
	return filepath.Join(shared.dir, "sessiond"), shared.buildErr
}
