// Command loadtest loads instances of sessiond while things break, checks every answer, and writes a report. It speaks
// HTTP only.
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

// Exit statuses.
const (
	exitFine     = 0
	exitCannot   = 1 // it could not run, or a fault could not be made
	exitUsage    = 2
	exitExceeded = 99 // a limit is broken
)

func main() {
	// Less frequent garbage collection costs some tens of MB, and leaves more CPU to the service under load.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first ends the load, the second the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program, apart from the process. When the context ends, the load ends, but the report is still written.
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
		kong.Description("Loads instances of sessiond, breaks things, checks every answer and writes a report. Exits with 99 if a limit is broken."),
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
