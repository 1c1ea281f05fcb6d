package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/sessiond/sessiond/loadtest/report"
)

// writeReport creates the directory and writes the report's files into it.
func writeReport(dir string, r report.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{"report.html": r.WriteHTML, "report.json": r.WriteJSON, "timeline.png": r.WritePNG} {
		if err := writeFile(filepath.Join(dir, name), write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
