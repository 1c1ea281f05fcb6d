package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module    = "github.com/sessiond/sessiond"
	goRedis   = "github.com/redis/go-redis"
	miniredis = "github.com/alicebob/miniredis"
)

// A floor is a folder of production code, with the folders below it that have no floor of their own. Of this module it
// imports nothing but what may lists, a "/..." at an entry's end including the folders below; of other modules anything
// but what never lists, with their packages.
type floor struct {
	folder string
	may    []string
	never  []string
}

// floors are listed from the top down. Imports run downwards only.
var floors = []floor{
	{"cmd/sessiond", []string{"internal/httpapi", "internal/audit", "internal/authority", "internal/conns", "internal/keys", "internal/reread", "internal/session", "internal/cluster/..."}, []string{goRedis}},
	{"internal/httpapi", []string{"internal/audit", "internal/conns", "internal/keys", "internal/session", "internal/cluster", "internal/cluster/watch", "internal/cluster/doctor", "internal/cluster/view"}, []string{goRedis, miniredis}},
	{"internal/audit", nil, []string{"net/http", goRedis, miniredis}},
	{"internal/authority", nil, []string{"net/http", goRedis, miniredis}},
	{"internal/conns", nil, []string{goRedis, miniredis}},
	{"internal/keys", []string{"internal/session"}, []string{"net/http", goRedis, miniredis}},
	{"internal/reread", nil, []string{"net/http", goRedis, miniredis}},
	{"internal/session", []string{"internal/cluster"}, []string{"net/http", goRedis, miniredis}},

	// The stack below the store. cluster and admin stand side by side.
	{"internal/cluster", []string{"internal/cluster/watch", "internal/cluster/doctor", "internal/cluster/peer", "internal/cluster/view"}, []string{"net/http", miniredis}},
	{"internal/cluster/admin", []string{"internal/cluster/watch", "internal/cluster/doctor", "internal/cluster/rights", "internal/cluster/peer", "internal/cluster/view"}, []string{"net/http", miniredis}},
	{"internal/cluster/watch", []string{"internal/cluster/doctor", "internal/cluster/rights", "internal/cluster/peer", "internal/cluster/view"}, []string{"net/http", goRedis, miniredis}},
	{"internal/cluster/rights", []string{"internal/cluster/peer", "internal/cluster/view"}, []string{"net/http", miniredis}},
	{"internal/cluster/doctor", []string{"internal/cluster/peer", "internal/cluster/view"}, []string{"net/http", miniredis}},
	{"internal/cluster/peer", []string{"internal/cluster/view"}, []string{"net/http", miniredis}},
	{"internal/cluster/view", nil, []string{"net/http", goRedis, miniredis}},

	// The load test judges the service from outside: it speaks HTTP only. The stock client is what it compares with.
	{"loadtest", []string{"loadtest/..."}, []string{goRedis, miniredis}},
	{"loadtest/stock", []string{"loadtest/load"}, []string{miniredis}},

	// Clients speak HTTP only, and import nothing of the service.
	{"clients/go", []string{"clients/go/..."}, []string{goRedis, miniredis}},

	{"deploy", []string{"deploy/..."}, []string{goRedis, miniredis}},
}

// testHelpers are the packages that exist for tests. They may import anything, and no production code imports them.
var testHelpers = []string{
	"internal/abuse",
	"internal/bench",
	"internal/bench/baseline",
	"internal/browsertest",
	"internal/certtest",
	"internal/cluster/clustertest",
	"internal/faults",
	"internal/polltest",
	"internal/session/sessiontest",
	"loadtest/servicetest",
}

// A source is a Go file, by its folder in this module.
type source struct {
	file, folder string
	imports      []string
}

func (s source) isTest() bool {
	return strings.HasSuffix(s.file, "_test.go") || slices.Contains(testHelpers, s.folder)
}

// sources are all Go files of this repository.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file := strings.TrimPrefix(filepath.ToSlash(name), "../")
		s := source{file: file, folder: path.Dir(file)}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// floorOf is the innermost floor of a folder.
func floorOf(folder string) *floor {
	var innermost *floor
	for i, f := range floors {
		if within(folder, f.folder) && (innermost == nil || len(f.folder) > len(innermost.folder)) {
			innermost = &floors[i]
		}
	}
	return innermost
}

// within reports whether a folder or package is another one or below it.
func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// lets reports whether code on the floor may import a package.
func (f floor) lets(imported string) bool {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	if !isOurs {
		return !slices.ContainsFunc(f.never, func(n string) bool { return within(imported, n) })
	}
	if slices.Contains(testHelpers, ours) {
		return false
	}
	return slices.ContainsFunc(f.may, func(m string) bool {
		parent, below := strings.CutSuffix(m, "/...")
		return ours == m || below && within(ours, parent)
	})
}

func TestImports(t *testing.T) {
	seen := map[string]int{} // files by floor
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		f := floorOf(s.folder)
		if f == nil {
			t.Errorf("%s is on no floor: add its folder to the table", s.file)
			continue
		}
		seen[f.folder]++
		for _, imported := range s.imports {
			if !f.lets(imported) {
				t.Errorf("%s imports %s", s.file, imported)
			}
		}
	}
	for _, f := range floors {
		if seen[f.folder] == 0 {
			t.Errorf("%s holds no code: its line checks nothing", f.folder)
		}
	}
}

// Nothing in the load test may lean on the code that it judges, not even its tests. Waiting judges nothing.
func TestLoadTestImportsNothingInternal(t *testing.T) {
	for _, s := range sources(t) {
		if !within(s.folder, "loadtest") {
			continue
		}
		for _, imported := range s.imports {
			if within(imported, module+"/internal") && imported != module+"/internal/polltest" {
				t.Errorf("%s imports %s", s.file, imported)
			}
		}
	}
}

func TestHelpersExist(t *testing.T) {
	all := sources(t)
	for _, helper := range testHelpers {
		if !slices.ContainsFunc(all, func(s source) bool { return s.folder == helper }) {
			t.Errorf("%s holds no code: it needs no exception", helper)
		}
	}
}
