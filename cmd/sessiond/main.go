// Command sessiond keeps user sessions in a Redis Cluster and serves them over HTTP.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sessiond/sessiond/internal/cluster"
)

// gcPercent is how much the heap may grow between two collections. What a request leaves behind is small and dies at once:
// the default of 100 collects many times a second, to save some megabytes.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli is the command line. Every flag is also an environment variable: --request-timeout is SESSIOND_REQUEST_TIMEOUT.
type cli struct {
	Serve       serveCmd       `cmd:"" default:"withargs" help:"Serve sessions over HTTP (the default)."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a running service whether it is alive; for containers."`
	Cluster     struct {
		Init      initCmd      `cmd:"" help:"Form the cluster, or check that it is formed and placed well."`
		Status    statusCmd    `cmd:"" help:"Show each node's VM, role, slots and lag."`
		Rebalance rebalanceCmd `cmd:"" help:"Bring every VM back to one master, by planned failovers that lose nothing."`
	} `cmd:"" help:"Look after the Redis Cluster."`
	Version kong.VersionFlag `env:"-" help:"Print the version."`
}

// A console is where a command writes.
type console struct{ out, err io.Writer }

// run is the whole program but for the process: it returns the exit status, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cluster.LogTo(slog.New(slog.DiscardHandler)) // until there is a log
	var c cli
	parser, err := kong.New(&c,
		kong.Name("sessiond"),
		kong.Description("User sessions with TTLs, kept in a Redis Cluster."),
		kong.DefaultEnvars("SESSIOND"),
		kong.Vars{"version": thisBuild().String()},
		kong.Writers(stdout, stderr),
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
