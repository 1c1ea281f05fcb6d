package scenario

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestBuiltIn(t *testing.T) {
	if got, want := Names(), []string{"rolling-restart", "soak", "steady", "vm-kill"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	s, err := Open("vm-kill")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "vm-kill" || s.Values["fault"] != "10s:kill:vm2,35s:start:vm2" || s.Values["max-violations"] != "0" {
		t.Errorf("got %+v", s)
	}
}

func TestParse(t *testing.T) {
	s, err := parse("x", []byte("# a drill\n\nrate = sine:5:1:10s # waves\n fault=1s:kill:a\nfault = 2s:start:a\nmix = read=1,list=2\n"))
	want := map[string]string{"rate": "sine:5:1:10s", "fault": "1s:kill:a,2s:start:a", "mix": "read=1,list=2"}
	if err != nil || !maps.Equal(s.Values, want) {
		t.Errorf("got %v, %v", s.Values, err)
	}
	for _, text := range []string{"rate", "rate =", "= 5", "--rate = 5"} {
		if _, err := parse("x", []byte("\n"+text)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, want an error that names the line", text, err)
		}
	}
}

func TestFlag(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	type cli struct {
		Scenario Flag
		Rate     int `default:"1"`
		Size     int `default:"1"`
		Names    []string
		Token    string
	}
	parseArgs := func(args ...string) (cli, error) {
		var c cli
		parser, err := kong.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(args)
		return c, err
	}
	good := write("mine.scenario", "rate = 5\nsize = 6\nnames = a\nnames = b")
	c, err := parseArgs("--scenario", good, "--size", "7")
	if err != nil || c.Rate != 5 || c.Size != 7 || !slices.Equal(c.Names, []string{"a", "b"}) {
		t.Errorf("the command line comes first, then the scenario: %+v, %v", c, err)
	}
	if c, err = parseArgs("--scenario", good, "--names", "z"); err != nil || !slices.Equal(c.Names, []string{"z"}) {
		t.Errorf("the command line replaces a list: %+v, %v", c, err)
	}
	for text, want := range map[string]string{"rat = 5": `"rat" is not a flag`, "rate = fast": "fast", "scenario = soak": "not a flag", "token = secret": "not a flag"} {
		if _, err := parseArgs("--scenario", write("bad", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := parseArgs("--scenario", "no-such"); err == nil || !strings.Contains(err.Error(), "vm-kill") {
		t.Errorf("got %v, want the names of those that are there", err)
	}
}
