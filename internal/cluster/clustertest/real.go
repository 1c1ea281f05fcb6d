package clustertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/admin"
	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// Real is a Redis Cluster of three masters and three replicas in containers, configured and placed as in the bundle:
// shard i has its master on VM i and its replica on another VM. TwoReplicas makes it three masters and six replicas.
type Real struct {
	layout
	tls      *overTLS // nil: plain TCP
	network  *testcontainers.DockerNetwork
	guest    bool         // another cluster made the network, and removes it
	subnet   netip.Prefix // of the network; addresses in it are given out by ip
	direct   bool         // the engine runs on this machine, so the containers' own addresses can be reached
	nodes    []*node
	mapped   sync.Map // published address by the one that the cluster announces; empty if direct
	services services
}

type node struct {
	container *testcontainers.DockerContainer
	name, vm  string
	ip        netip.Addr // on the containers' network, the same for as long as the cluster lives
	addr      string     // ip:port, which the cluster announces
}

// shared is what the tests of a binary share: a cluster and the binary of the service. Each is made for the first test that
// asks for it.
var shared struct {
	once sync.Once
	real *Real
	err  error

	build    sync.Once
	dir      string // holds the service's binary
	buildErr error
}

// Main runs the tests of a package and ends what they share. Call it from TestMain.
func Main(m *testing.M) {
	cluster.LogTo(slog.New(slog.DiscardHandler)) // drop what the driver logs about the faults that tests make
	code := m.Run()
	if shared.real != nil {
		for _, d := range shared.real.denied() {
			fmt.Fprintln(os.Stderr, d)
			code = max(code, 1)
		}
		if err := shared.real.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the cluster:", err)
		}
	}
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// Shared returns the cluster that all tests of this binary share. They must not break it.
func Shared(t testing.TB) *Real {
	t.Helper()
	needEngine(t)
	shared.once.Do(func() { shared.real, shared.err = start(context.Background(), new(Real), true) })
	if shared.err != nil {
		t.Fatalf("the cluster does not start: %v", shared.err)
	}
	return shared.real
}

// Start starts a cluster for one test, which may break it.
func Start(t *testing.T, options ...Option) *Real {
	t.Helper()
	r := new(Real)
	for _, o := range options {
		o(r)
	}
	return startOwn(t, r, true)
}

// StartUnformed starts, for one test, six nodes that do not know each other.
func StartUnformed(t *testing.T) *Real {
	t.Helper()
	return startOwn(t, new(Real), false)
}

func startOwn(t *testing.T, r *Real, formed bool) *Real {
	t.Helper()
	needEngine(t)
	r, err := start(t.Context(), r, formed)
	if err != nil {
		t.Fatalf("the cluster does not start: %v", err)
	}
	t.Cleanup(func() {
		r.checkDenied(t)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// needEngine skips a test if there is no Docker engine. If SESSIOND_TEST_CLUSTER is "required", it fails the test instead.
func needEngine(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a real cluster is not short")
	}
	if err := engineAnswers(t.Context()); err != nil {
		if os.Getenv("SESSIOND_TEST_CLUSTER") == "required" {
			t.Fatalf("a real cluster is required, but no Docker engine answers: %v", err)
		}
		t.Skipf("no real cluster without a Docker engine: %v", err)
	}
}

func start(ctx context.Context, r *Real, formed bool) (*Real, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	err := r.start(ctx)
	if err == nil && formed {
		c := admin.New(r.Operator())
		defer c.Close()
		err = c.Form(ctx, r.Shards(), slog.New(slog.DiscardHandler))
		if err == nil {
			err = r.settle(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *Real) start(ctx context.Context) (err error) {
	if err := removeLeftovers(ctx); err != nil {
		return err
	}
	tclog.SetDefault(tclog.NewNoopLogger())
	if !r.guest {
		if err := r.makeNetwork(ctx); err != nil {
			return err
		}
	}
	places := r.places()
	r.nodes = make([]*node, len(places))
	errs := make([]error, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() { r.nodes[i], errs[i] = r.startNode(ctx, p.name, p.vm, r.ip(r.firstIP()+i)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, n := range r.nodes {
		if err := r.publish(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Real) startNode(ctx context.Context, name, vm string, ip netip.Addr) (*node, error) {
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	c, err := r.run(ctx, name, ip, "6379/tcp",
		testcontainers.WithEntrypoint("sh", "/etc/sessiond/entrypoint.sh", place{name, vm}.hostname()),
		testcontainers.WithFiles(files...),
	)
	n := &node{container: c, name: name, vm: vm, ip: ip, addr: net.JoinHostPort(ip.String(), "6379")}
	if err != nil {
		return n, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

// files are what a node finds in /etc/sessiond: the files of the bundle, the users, and what the options add.
func (r *Real) files() ([]testcontainers.ContainerFile, error) {
	conf, err := os.ReadFile(inRepository("deploy/redis/redis.conf"))
	if err != nil {
		return nil, err
	}
	users, err := users()
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	settings := string(conf) + "\naclfile /etc/sessiond/users.acl\n"
	if r.tls != nil {
		settings += r.tls.conf()
		if texts, err = r.tls.files(); err != nil {
			return nil, err
		}
	}
	texts["redis.conf"], texts["users.acl"] = settings, users
	files := []testcontainers.ContainerFile{{
		HostFilePath: inRepository("deploy/redis/entrypoint.sh"), ContainerFilePath: "/etc/sessiond/entrypoint.sh", FileMode: 0o755,
	}}
	for name, text := range texts {
		files = append(files, testcontainers.ContainerFile{
			Reader: strings.NewReader(text), ContainerFilePath: "/etc/sessiond/" + name, FileMode: 0o644,
		})
	}
	return files, nil
}

// run starts a container of the Redis image at an address on the cluster's network. It publishes the port only if that
// address cannot be reached.
func (r *Real) run(ctx context.Context, name string, ip netip.Addr, port string, options ...testcontainers.ContainerCustomizer) (*testcontainers.DockerContainer, error) {
	image := os.Getenv("REDIS_IMAGE")
	if image == "" {
		image = "redis:8"
	}
	return r.runImage(ctx, image, name, ip, port, options...)
}

// runImage is run with another image.
func (r *Real) runImage(ctx context.Context, image, name string, ip netip.Addr, port string, options ...testcontainers.ContainerCustomizer) (*testcontainers.DockerContainer, error) {
	options = append(options,
		testcontainers.WithLabels(labels()),
		tcnetwork.WithNetwork(r.aliases(name), r.network),
		testcontainers.WithEndpointSettingsModifier(func(settings map[string]*network.EndpointSettings) {
			settings[r.network.Name].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: ip}
		}),
	)
	if !r.direct {
		options = append(options, testcontainers.WithExposedPorts(port))
	}
	return testcontainers.Run(ctx, image, options...)
}

// inRepository returns the path of a file in this repository.
func inRepository(path string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "../../..", path)
}

// publish records the address at which the engine publishes a node's port.
func (r *Real) publish(ctx context.Context, n *node) error {
	if r.direct {
		return nil
	}
	endpoint, err := n.container.PortEndpoint(ctx, "6379/tcp", "")
	if err == nil {
		r.mapped.Store(n.addr, endpoint)
	}
	return err
}

// Access reaches the cluster from the test, at the addresses that it announces, those of the containers' network: as they
// are if the engine runs on this machine, otherwise mapped by the dialler to the ports that the engine publishes. Behind
// a published port a proxy closes the connections of a node that is cut off, so only the first can show silence. Its user may do
// what the service needs, and nothing else.
func (r *Real) Access() peer.Access {
	a := peer.Access{Addrs: r.addrs(), Dial: r.dial, Username: serviceUser, Password: password}
	if r.tls != nil {
		a.Addrs, a.TLS, a.Lookup = nil, r.tls.client, r.lookup
		for _, p := range r.places() {
			a.Addrs = append(a.Addrs, net.JoinHostPort(p.hostname(), "6379"))
		}
	}
	return a
}

// addrs are the addresses of the nodes.
func (r *Real) addrs() (addrs []string) {
	for _, n := range r.nodes {
		addrs = append(addrs, n.addr)
	}
	return addrs
}

func (r *Real) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if published, ok := r.mapped.Load(addr); ok {
		addr = published.(string)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// Config returns the configuration of a client of the cluster. Only the access is set.
func (r *Real) Config() cluster.Config { return cluster.Config{Access: r.Access()} }

// Admin makes an admin client of the cluster that is closed with the test.
func (r *Real) Admin(t testing.TB) *admin.Client {
	t.Helper()
	c := admin.New(r.Operator())
	t.Cleanup(func() { c.Close() })
	return c
}

// Client makes a client of the cluster that is closed with the test.
func (r *Real) Client(t testing.TB) *cluster.Client {
	t.Helper()
	c := cluster.New(r.Config())
	t.Cleanup(func() { c.Close() })
	return c
}

func (r *Real) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, n := range r.nodes {
		if n != nil && n.container != nil {
			errs = append(errs, n.container.Terminate(ctx, testcontainers.StopTimeout(0)))
		}
	}
	if r.network != nil && !r.guest {
		errs = append(errs, r.network.Remove(ctx))
	}
	return errors.Join(errs...)
}
