package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Cuts in the network (see cut.go for those between two parties), made by packet filters in the containers' own network
// namespaces, which the host may enter. A party that is cut off gets no answer at all: no RST, no ICMP. A container that
// starts again has lost its cuts.

// Host is the party for this machine, including tests and load, in cuts and in IsolateVM.
const Host = "host"

// IsolateVM cuts a VM off from everything but its own containers and the parties in except. The cut is healed at the end of
// the test if it has not been before.
func (r *Real) IsolateVM(t testing.TB, vm string, except ...string) {
	t.Helper()
	inside := r.parties(t, vm)
	friends := inside
	for _, party := range except {
		friends = append(friends[:len(friends):len(friends)], r.parties(t, party)...)
	}
	script := scripts{}
	for _, c := range inside {
		for _, friend := range friends {
			if friend.ip != c.ip { // its own address is one end of every packet
				script.add(c, fmt.Sprintf("iptables -w 5 -A ISOLATED -s %s -j RETURN; iptables -w 5 -A ISOLATED -d %s -j RETURN", friend.ip, friend.ip))
			}
		}
		script.add(c, "iptables -w 5 -A ISOLATED -j DROP")
		script.add(c, insert("INPUT ! -i lo -j ISOLATED"))
		script.add(c, insert("OUTPUT ! -o lo -j ISOLATED"))
		script[c.id] = "iptables -w 5 -N ISOLATED; " + script[c.id]
	}
	r.inNetworks(t, script)
	t.Cleanup(func() { _ = r.heal(healScript(r.of(vm))) })
}

// HealVM ends IsolateVM.
func (r *Real) HealVM(t testing.TB, vm string) {
	t.Helper()
	r.inNetworks(t, healScript(r.parties(t, vm)))
}

// scripts are shell scripts by the ID of the container in whose network they run.
type scripts map[string]string

func (s scripts) add(c *container, script string) {
	if s[c.id] != "" {
		s[c.id] += "; "
	}
	s[c.id] += script
}

// insert and remove are the shell commands for a rule. A rule to be removed may be gone since the container's last start.
func insert(rule string) string { return "iptables -w 5 -I " + rule }
func remove(rule string) string {
	return "if iptables -w 5 -C " + rule + " 2>/dev/null; then iptables -w 5 -D " + rule + "; fi"
}

func healScript(of []*container) scripts {
	script := scripts{}
	for _, c := range of {
		script.add(c, remove("INPUT ! -i lo -j ISOLATED"))
		script.add(c, remove("OUTPUT ! -o lo -j ISOLATED"))
		script.add(c, "if iptables -w 5 -F ISOLATED 2>/dev/null; then iptables -w 5 -X ISOLATED; fi")
	}
	return script
}

// parties returns the containers, or the plain address, behind a name.
func (r *Real) parties(t testing.TB, name string) []*container {
	t.Helper()
	if name == Host {
		return []*container{{name: name, ip: r.ip(1)}}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return []*container{{name: name, ip: ip}}
	}
	if of := r.of(name); len(of) > 0 {
		return of
	}
	for _, s := range r.services.all() {
		if s.Name == name {
			return []*container{{name: name, id: s.container.GetContainerID(), ip: s.ip}}
		}
	}
	n := r.node(t, name)
	return []*container{{name: name, id: n.container.GetContainerID(), ip: n.ip, node: n}}
}

func (r *Real) inNetworks(t testing.TB, script scripts) {
	t.Helper()
	r.needDirect(t)
	if len(script) == 0 {
		t.Fatal("neither party is of this cluster")
	}
	if err := runScripts(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

// heal is for the end of a test. It does not fail for cuts that are healed or gone already.
func (r *Real) heal(script scripts) error { return runScripts(context.Background(), script) }

// runScripts runs all scripts at the same time. It skips those of containers that do not run.
func runScripts(ctx context.Context, script scripts) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	var wg sync.WaitGroup
	errs := make(chan error, len(script))
	for id, commands := range script {
		wg.Go(func() {
			state, err := engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
			if err == nil && state.Container.State.Pid != 0 {
				err = inNetworkOf(ctx, state.Container.State.Pid, "set -e; "+commands)
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// inNetworkOf runs shell commands in the network namespace of a process, with sudo if the test does not run as root.
func inNetworkOf(ctx context.Context, pid int, commands string) error {
	args := []string{"nsenter", "-t", strconv.Itoa(pid), "-n", "sh", "-c", commands}
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
