// Package scenario reads scenarios: files that set the load test's flags, so that a drill can be repeated, versioned and
// reviewed.
package scenario

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed *.scenario
var builtin embed.FS

// A Scenario holds values of flags by name, without dashes.
type Scenario struct {
	Name   string
	Values map[string]string // several values of one flag are separated by commas, as on the command line
}

// Names lists the built-in scenarios.
func Names() []string {
	files, _ := builtin.ReadDir(".") // it is embedded
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".scenario"))
	}
	return names
}

// Open reads a built-in scenario, or the file at a path.
func Open(nameOrPath string) (Scenario, error) {
	if slices.Contains(Names(), nameOrPath) {
		text, err := builtin.ReadFile(nameOrPath + ".scenario")
		if err != nil {
			return Scenario{}, err
		}
		return parse(nameOrPath, text)
	}
	text, err := os.ReadFile(nameOrPath)
	if err != nil {
		return Scenario{}, fmt.Errorf("%q is not a built-in scenario (%s), and cannot be read as a file: %w", nameOrPath, strings.Join(Names(), ", "), err)
	}
	base := filepath.Base(nameOrPath)
	return parse(strings.TrimSuffix(base, path.Ext(base)), text)
}

// parse reads lines of NAME = VALUE, and comments after #.
func parse(name string, text []byte) (Scenario, error) {
	s := Scenario{Name: name, Values: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || value == "" || strings.HasPrefix(key, "-") {
			return s, fmt.Errorf("scenario %s, line %d: want FLAG = VALUE, without dashes", name, n)
		}
		if old, twice := s.Values[key]; twice {
			value = old + "," + value
		}
		s.Values[key] = value
	}
	return s, lines.Err()
}
