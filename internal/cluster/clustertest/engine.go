package clustertest

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Direct requests to the Docker engine.

// The labels hold the host and the process ID of the test binary that made a container or a network. Several hosts, or
// containers with process IDs of their own, may share one engine.
const (
	hostLabel  = "sessiond.test.host"
	ownerLabel = "sessiond.test.owner"
)

func labels() map[string]string {
	return map[string]string{hostLabel: hostname(), ownerLabel: strconv.Itoa(os.Getpid())}
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

func engineAnswers(ctx context.Context) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	_, err = engine.Ping(ctx, client.PingOptions{})
	return err
}

// removeLeftovers removes what test binaries of this machine that ended without cleaning up have left: where the reaper
// of testcontainers-go cannot run, nobody else does.
func removeLeftovers(ctx context.Context) error {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	ours := make(client.Filters).Add("label", hostLabel+"="+hostname())
	containers, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range containers.Items {
		if !alive(c.Labels[ownerLabel]) {
			_, err := engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			errs = append(errs, err)
		}
	}
	networks, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	errs = append(errs, err)
	for _, n := range networks.Items {
		if !alive(n.Labels[ownerLabel]) {
			_, err := engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func alive(owner string) bool {
	pid, err := strconv.Atoi(owner)
	return err == nil && syscall.Kill(pid, 0) == nil
}
