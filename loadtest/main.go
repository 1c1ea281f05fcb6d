// Command loadtest puts a load on instances of sessiond while things break, judges every answer, and reports what it saw.
// It speaks HTTP only.
//
//	go run ./loadtest --scenario vm-kill --target http://127.0.0.1:8080 --target http://127.0.0.1:8081
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sessiond/sessiond/loadtest/scenario"
)

// The exit statuses.
const (
	exitFine     = 0
	exitCannot   = 1 // it could not run, or a fault could not be made
	exitUsage    = 2
	exitExceeded = 99 // a limit is broken
)

func main() {
	// Collecting garbage half as often costs some tens of MB, and saves what the service under load can use.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first ends the load, the second the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program but for the process. The end of the context ends the load, not the report.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "loadtest: %s\n", err)
		return exitUsage
	}
	code, err := c.drill(ctx, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "loadtest: %s\n", err)
	}
	return code
}

func parse(args []string, stdout, stderr io.Writer) (*cli, error) {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("loadtest"),
		kong.Description("Puts a load on instances of sessiond, breaks things, judges every answer and reports. Exits with 99 when a limit is broken."),
		kong.Vars{"scenarios": fmt.Sprint(scenario.Names())},
		kong.Writers(stdout, stderr),
	)
	if err != nil {
		panic(err) // the struct is wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	c.options = optionsOf(parsed)
	return &c, nil
}
