package internal_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
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

// Every test and every case that docs/security.md names is there: a line of it holds nothing without.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") && !strings.Contains(file, "sessiontest") {
			return err
		}
		source, err := os.ReadFile(file)
		tests.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "## Secrets")
	names := regexp.MustCompile("`(Test\\w+)`|: \"([^\"`]+)\"|, \"([^\"`]+)\"").FindAllStringSubmatch(table, -1)
	if len(names) < 25 {
		t.Errorf("found %d names only: the test reads nothing", len(names))
	}
	for _, m := range names {
		want := "func " + m[1] + "("
		if m[1] == "" {
			want = `"` + m[2] + m[3] + `"`
		}
		if !strings.Contains(tests.String(), want) {
			t.Errorf("no test has %s", want)
		}
	}
}
