package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Faults of whole VMs: their processes end, their power fails, they hang, they return. A fault hits all containers of a VM
// at once.

// KillVM kills a VM's processes at once, without a shutdown. Its network stays: connections are reset, and new ones
// refused.
func (r *Real) KillVM(t testing.TB, vm string) {
	t.Helper()
	r.onVM(t, vm, r.kill)
}

// KillNode kills one node at once (SIGKILL), and leaves it dead. StartVM starts it again.
func (r *Real) KillNode(t testing.TB, name string) {
	t.Helper()
	n := r.node(t, name)
	if err := r.kill(t.Context(), r.engine(t), n.target()); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// CutPower is the first half of PowerOffVM, and all that others can see of it: the VM's network is gone, so that it sends
// no FIN and no RST. What is sent to it is met by silence, for some seconds; after that the host, like any neighbour on
// its link, finds that nobody answers for the address, and dialling fails with "no route to host".
//
// KillVM is the other half and ends the processes. StartVM brings back a VM after both. Call KillVM when all measurements
// of the survivors are done: they share their cores with the engine, which is busy for a third of a second with clearing
// away the containers (seen).
func (r *Real) CutPower(t testing.TB, vm string) {
	t.Helper()
	script := scripts{}
	for _, c := range r.parties(t, vm) {
		script.add(c, "ip link set dev eth0 down")
	}
	r.inNetworks(t, script)
}

// PowerOffVM cuts a VM's power: first its network is gone, then its processes.
func (r *Real) PowerOffVM(t testing.TB, vm string) {
	t.Helper()
	r.CutPower(t, vm)
	r.KillVM(t, vm)
}

// StartVM starts a VM again after KillVM or PowerOffVM, under the addresses that it had. It does not wait for Redis, and
// a node that was master may be held back by its entrypoint. Where the engine is another machine's, the published ports
// may be others than before.
func (r *Real) StartVM(t testing.TB, vm string) {
	t.Helper()
	r.onVM(t, vm, r.start1)
}

// PauseVM stops a VM's processes where they are (SIGSTOP, in effect): its kernel still accepts connections and takes
// what is sent, and nothing answers. A VM that is still paused when the test ends goes on then.
func (r *Real) PauseVM(t testing.TB, vm string) {
	t.Helper()
	r.onVM(t, vm, func(ctx context.Context, engine *testcontainers.DockerClient, c *container) error {
		_, err := engine.ContainerPause(ctx, c.id, client.ContainerPauseOptions{})
		return err
	})
	t.Cleanup(func() { _ = r.eachOf(context.Background(), vm, r.unpause) }) // fails where it goes on already
}

// UnpauseVM ends PauseVM.
func (r *Real) UnpauseVM(t testing.TB, vm string) {
	t.Helper()
	r.onVM(t, vm, r.unpause)
}

// RestartOptions say how a node stops before it starts again. The zero value is a planned restart.
type RestartOptions struct {
	// Kill ends it without a shutdown (SIGKILL), as a crash does. Otherwise it is asked to stop (SIGTERM), has 10 s for
	// it, and fails the test if it needs more.
	Kill bool

	// Lose, with Kill, cuts off what was written to the append-only file in the time before, as a power cut does with
	// what has not been synced: a second at most with appendfsync everysec. The node goes on for that time first, under
	// whatever load there is.
	Lose time.Duration
}

// RestartNode ends one node and starts it again at once, sooner than the others notice. It does not wait for Redis, and
// a node that was master and was killed is held back by its entrypoint. It returns the moment of its end.
func (r *Real) RestartNode(t testing.TB, name string, how RestartOptions) (ended time.Time) {
	t.Helper()
	engine := r.engine(t)
	n := r.node(t, name)
	c := n.target()
	var err error
	switch {
	case how.Lose > 0:
		ended, err = r.killAndLose(t, engine, c, how.Lose)
	case how.Kill:
		ended = time.Now()
		err = r.kill(t.Context(), engine, c)
	default:
		ended = time.Now()
		err = stop(t.Context(), engine, c.id, 10*time.Second)
	}
	if err == nil {
		err = r.start1(t.Context(), engine, c)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return ended
}

// Log returns the log of a node and its entrypoint so far, over all its starts.
func (r *Real) Log(t testing.TB, name string) string {
	t.Helper()
	log, err := r.node(t, name).container.Logs(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(text)
}

// stop ends a container with SIGTERM. It fails if the container had to be killed or did not exit with 0.
func stop(ctx context.Context, engine *testcontainers.DockerClient, id string, patience time.Duration) error {
	seconds := int(patience.Seconds())
	if _, err := engine.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds}); err != nil {
		return err
	}
	state, err := engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err == nil && state.Container.State.ExitCode != 0 {
		err = fmt.Errorf("stopped with exit status %d", state.Container.State.ExitCode)
	}
	return err
}

// kill kills a container and returns when it has ended.
func (r *Real) kill(ctx context.Context, engine *testcontainers.DockerClient, c *container) error {
	gone := engine.ContainerWait(ctx, c.id, client.ContainerWaitOptions{})
	if _, err := engine.ContainerKill(ctx, c.id, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		return err
	}
	select {
	case <-gone.Result:
		return nil
	case err := <-gone.Error:
		return err
	}
}

func (r *Real) unpause(ctx context.Context, engine *testcontainers.DockerClient, c *container) error {
	_, err := engine.ContainerUnpause(ctx, c.id, client.ContainerUnpauseOptions{})
	return err
}

// start1 starts a container again, with a network of its own as new.
func (r *Real) start1(ctx context.Context, engine *testcontainers.DockerClient, c *container) error {
	if _, err := engine.ContainerStart(ctx, c.id, client.ContainerStartOptions{}); err != nil {
		return err
	}
	if c.node != nil {
		return r.publish(ctx, c.node)
	}
	return nil
}

// A container is the target of a fault: a node or a service.
type container struct {
	name, id string
	ip       netip.Addr
	node     *node // nil for a service
}

func (n *node) target() *container {
	return &container{name: n.name, id: n.container.GetContainerID(), ip: n.ip, node: n}
}

func (s *Service) target() *container {
	return &container{name: s.Name, id: s.container.GetContainerID(), ip: s.ip}
}

// of returns the containers of a VM, including its services.
func (r *Real) of(vm string) []*container {
	var of []*container
	for _, n := range r.nodes {
		if n.vm == vm {
			of = append(of, n.target())
		}
	}
	for _, s := range r.services.all() {
		if s.vm == vm {
			of = append(of, s.target())
		}
	}
	return of
}

type deed func(context.Context, *testcontainers.DockerClient, *container) error

func (r *Real) onVM(t testing.TB, vm string, do deed) {
	t.Helper()
	if len(r.of(vm)) == 0 {
		t.Fatalf("there is no %s", vm)
	}
	if err := r.eachOf(t.Context(), vm, do); err != nil {
		t.Fatal(err)
	}
}

// eachOf calls a function for all containers of a VM at the same time.
func (r *Real) eachOf(ctx context.Context, vm string, do deed) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	of := r.of(vm)
	errs := make([]error, len(of))
	var wg sync.WaitGroup
	for i, c := range of {
		wg.Go(func() {
			if err := do(ctx, engine, c); err != nil {
				errs[i] = fmt.Errorf("%s: %w", c.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// engine is a client of the Docker engine until the test ends.
func (r *Real) engine(t testing.TB) *testcontainers.DockerClient {
	t.Helper()
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return engine
}

func (r *Real) node(t testing.TB, name string) *node {
	t.Helper()
	for _, n := range r.nodes {
		if n.name == name {
			return n
		}
	}
	t.Fatalf("there is no node %s", name)
	return nil
}
