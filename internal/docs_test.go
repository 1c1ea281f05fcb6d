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
	tests := testsBelow(t, "..")
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
		if !strings.Contains(tests, want) {
			t.Errorf("no test has %s", want)
		}
	}
}

// testsBelow is the source of all tests in a folder.
func testsBelow(t *testing.T, folder string) string {
	t.Helper()
	var tests strings.Builder
	err := filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
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
	return tests.String()
}

// Each cell of the table of frameworks names a test of its adapter.
func TestGuidesNameTests(t *testing.T) {
	text, err := os.ReadFile("../docs/guides/README.md")
	if err != nil {
		t.Fatal(err)
	}
	adapters := []string{"scs", "gorilla", "fiber"} // the columns
	tests := map[string]string{}
	for _, adapter := range adapters {
		tests[adapter] = testsBelow(t, "../clients/go/"+adapter)
	}
	checked := 0
	for line := range strings.Lines(string(text)) {
		for i, cell := range strings.Split(line, "|") {
			if i < 2 || i-2 >= len(adapters) {
				continue // the feature, or what is behind the last column
			}
			for _, name := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(cell, -1) {
				checked++
				adapter := adapters[i-2]
				if !strings.Contains(tests[adapter], "func "+name[1]+"(") {
					t.Errorf("%s has no %s", adapter, name[1])
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d tests are named: the test reads nothing", checked)
	}
}
