// Command grafana writes the dashboards of package dashboards as JSON into the folder that Grafana is provisioned from.
//
//	go run ./deploy/grafana           write deploy/grafana/dashboards/*.json
//	go run ./deploy/grafana -check    write nothing, list the files that differ, and fail if there are any
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sessiond/sessiond/deploy/grafana/dashboards"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if a file differs")
	dir := flag.String("dir", "deploy/grafana/dashboards", "where the files are")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	var errs []error
	for _, d := range dashboards.All() {
		want, err := d.JSON()
		if err != nil {
			return err
		}
		path := filepath.Join(dir, d.File())
		if !check {
			errs = append(errs, os.WriteFile(path, want, 0o644))
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s differs from what the code generates: run make generate", path))
		}
	}
	return errors.Join(errs...)
}
