// Command sessiond keeps user sessions in a Redis Cluster and serves them over HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kong"

	"github.com/sessiond/sessiond/internal/cluster"
)

// gcPercent is how much the heap may grow between two collections, unless GOGC says otherwise. The garbage of a request is
// small and short-lived: at the default of 100, the process would collect many times per second to save some megabytes.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	limitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// limitMemory keeps the heap below the limit of the container, if there is one, and unless GOMEMLIMIT says otherwise. The garbage
// collector then works harder before the kernel ends the process.
func limitMemory() {
	if _, err := memlimit.Set(); err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		fmt.Fprintf(os.Stderr, "sessiond: the memory limit of the container is not known: %s\n", err)
	}
}

// cli is the command line. Every flag can also be set by an environment variable: --request-timeout by
// SESSIOND_REQUEST_TIMEOUT.
type cli struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Serve sessions over HTTP (the default)."`
	Healthcheck healthcheckCmd `cmd:"" help:"Check that a running service is alive, for use in containers."`
	Doctor      doctorCmd      `cmd:"" help:"Examine a cluster, and tell which promises hold on it, and why the others do not."`
	Cluster     struct {
		Secrets   secretsCmd   `cmd:"" help:"Make passwords and certificates for nodes and service, where there are none."`
		Init      initCmd      `cmd:"" help:"Form the cluster, or check that it is formed and its replicas are on other VMs than their masters."`
		Status    statusCmd    `cmd:"" help:"Show each node's VM, role, slots and lag."`
		Rebalance rebalanceCmd `cmd:"" help:"Restore one master per VM, by planned failovers that lose no write."`
	} `cmd:"" help:"Manage the Redis Cluster."`
	Version kong.VersionFlag `env:"-" help:"Print version, commit and Go release."`
}

// A console is where a command writes its output.
type console struct{ out, err io.Writer }

// run is the whole program without the process. It returns the exit status: 1 for an error, 2 for an invalid command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cluster.LogTo(slog.New(slog.DiscardHandler)) // until the program has a log
	var c cli
	parser, err := kong.New(&c,
		kong.Name("sessiond"),
		kong.Description("User sessions with TTLs over HTTP, kept in a Redis Cluster."),
		kong.DefaultEnvars("SESSIOND"),
		kong.Vars{"version": thisBuild().String()},
		kong.Writers(stdout, stderr),
		kong.WithHyphenPrefixedParameters(true), // --log-requests -1
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(console{stdout, stderr}),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "sessiond: %s\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(stderr, "sessiond: %s\n", err)
		return 1
	}
	return 0
}
