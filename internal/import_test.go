package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sessiond/sessiond/"

// rules say what the production code of a folder may never import. Imports run downwards only: cmd, httpapi, session,
// cluster; and below that cluster/admin beside cluster, cluster/watch, cluster/peer, cluster/view.
var rules = map[string][]string{
	"../internal/httpapi":       {"github.com/redis/go-redis", "github.com/alicebob/miniredis", module + "cmd", module + "loadtest"},
	"../internal/keys":          {"net/http", "github.com/redis/go-redis", "github.com/alicebob/miniredis", module + "internal/httpapi", module + "cmd", module + "loadtest"},
	"../internal/session":       {"net/http", "github.com/redis/go-redis", "github.com/alicebob/miniredis", module + "internal/httpapi", module + "cmd", module + "loadtest"},
	"../internal/cluster":       {"net/http", "github.com/alicebob/miniredis", module + "internal/session", module + "internal/httpapi", module + "cmd", module + "loadtest"},
	"../internal/cluster/watch": {module + "internal/cluster/admin"},
	"../internal/cluster/peer":  {module + "internal/cluster/admin", module + "internal/cluster/watch"},
	"../internal/cluster/view":  {"github.com/redis/go-redis", module + "internal/cluster/admin", module + "internal/cluster/watch", module + "internal/cluster/peer"},
}

func TestImports(t *testing.T) {
	for root, banned := range rules {
		files := 0
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || isTest(path) {
				return err
			}
			files++
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range f.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				for _, b := range banned {
					if imported == b || strings.HasPrefix(imported, b+"/") {
						t.Errorf("%s imports %s", path, imported)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if files == 0 {
			t.Errorf("%s holds no code: the rule checks nothing", root)
		}
	}
}

// isTest knows test files and the packages of test helpers, which production code does not import.
func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test")
}

// No production code imports a test helper.
func TestHelpersStayInTests(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || isTest(path) {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			if imported, _ := strconv.Unquote(spec.Path.Value); strings.HasPrefix(imported, module) && strings.HasSuffix(imported, "test") {
				t.Errorf("%s imports %s", path, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
