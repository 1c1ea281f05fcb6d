package session

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every shared definition is found, so that what a script needs is there.
func TestSharedDefinitionsAreFound(t *testing.T) {
	begins := regexp.MustCompile(`(?m)^local `).FindAllString(recordLua, -1)
	found := definition.FindAllString(recordLua, -1)
	if len(begins) == 0 || len(found) != len(begins) {
		t.Errorf("%d of %d definitions are found", len(found), len(begins))
	}
	whole := strings.Join(strings.Fields(strings.Join(found, "\n")), " ")
	for line := range strings.Lines(recordLua) {
		if code, _, _ := strings.Cut(line, "--"); strings.TrimSpace(code) != "" && !strings.Contains(whole, strings.Join(strings.Fields(code), " ")) {
			t.Errorf("%q belongs to no definition", line)
		}
	}
}

// A script has what it needs, through others too, and nothing else; and a branch has what only it needs.
func TestScriptsAreLean(t *testing.T) {
	const shared = `local A, B = 1, 2
-- What one needs.
local function one(x)
  if x then return A end
  return 0
end

local function two() return one(true) end

local function three()
  return B
end
`
	for body, want := range map[string]string{
		"return two()":                     "local A, B = 1, 2\nlocal function one(x)\n  if x then return A end\n  return 0\nend\nlocal function two() return one(true) end\nreturn two()",
		"return 1":                         "return 1",
		"return B":                         "local A, B = 1, 2\nreturn B",
		"if x then return B end\nreturn 1": "if x then\nlocal A, B = 1, 2\n return B end\nreturn 1",
		"if x then\n  return three()\nend\nreturn A":       "local A, B = 1, 2\nif x then\nlocal function three()\n  return B\nend\n\n  return three()\nend\nreturn A",
		"if x then y() end -- why\nif y then return B end": "if x then y() end -- why\nif y then\nlocal A, B = 1, 2\n return B end",
		"if x then -- why\n  return B\nend":                "if x then\nlocal A, B = 1, 2\n -- why\n  return B\nend",
		"if one(x) then return three() end":                "local A, B = 1, 2\nlocal function one(x)\n  if x then return A end\n  return 0\nend\nif one(x) then\nlocal function three()\n  return B\nend\n return three() end",
		"for x in y do\n  if x then return B end\nend":     "local A, B = 1, 2\nfor x in y do\n  if x then return B end\nend",
	} {
		if got := withShared(shared, body); got != want {
			t.Errorf("%s became %s", body, got)
		}
	}
}

// What is defined in one branch is not there in another, so that a statement which begins at the margin has one.
func TestBranchesOfScriptsAreSimple(t *testing.T) {
	files, err := filepath.Glob("scripts/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^(?:else.*|if .*\belse.*)$`).FindAllString(string(text), -1) {
			t.Errorf("%s: %q", file, found)
		}
	}
}
