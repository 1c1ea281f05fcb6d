package internal_test

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// quoted is what stands between backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// Every file that docs/architecture.md names is there. A bare name lies in the folder of the path before it in its line.
func TestArchitectureNamesFiles(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for number, line := range strings.Split(string(text), "\n") {
		folder := ""
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			name := m[1]
			switch {
			case strings.ContainsAny(name, " *<>{}"):
				continue
			case strings.Contains(name, "/") && (strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "deploy/") || strings.HasPrefix(name, "loadtest")):
				folder = path.Dir(name)
			case folder != "" && (path.Ext(name) == ".go" || path.Ext(name) == ".lua" || path.Ext(name) == ".yaml"):
				name = path.Join(folder, name)
			default:
				continue
			}
			files++
			if _, err := os.Stat("../" + name); err != nil {
				t.Errorf("line %d names %s: %v", number+1, name, err)
			}
		}
	}
	if files < 50 {
		t.Errorf("found %d names only: the test reads nothing", files)
	}
}
