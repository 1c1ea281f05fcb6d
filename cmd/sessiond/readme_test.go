package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of the README: its language and its text.
var block = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// The README's examples work as pasted, and answer what it says. Two instances share a store, as in the bundle; only
// the ports are replaced.
func TestREADMEExamples(t *testing.T) {
	first, err := start(parse(t, "--embedded"), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.drain() })
	second, _ := serve(t, parse(t, "--redis", first.embedded.(embedded).Addr()))
	ports := strings.NewReplacer("http://127.0.0.1:8080", "http://"+first.addr.String(), "http://127.0.0.1:8081", second)

	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script, want := "set -eu\n", ""
	for _, b := range block.FindAllStringSubmatch(string(readme), -1) {
		switch language, text := b[1], b[2]; {
		case language == "text":
			want += text
		case strings.Contains(text, "curl"):
			script += text
			if !strings.HasPrefix(text, "ID=") {
				script += "echo\n" // curl ends no line
			}
		}
	}
	if got := strings.Count(want, "\n"); got < 5 {
		t.Fatalf("the README promises only %d lines", got)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", ports.Replace(script))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	// A "…" in the README stands for anything inside one string.
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", `[^"]+`)
	got := strings.ReplaceAll(string(out), "\n\n", "\n")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The README's table lists every flag, and no other.
func TestREADMEListsTheFlags(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## Configuration")
	section, _, _ = strings.Cut(section, "## Non-goals")
	flag := regexp.MustCompile("--[a-z][a-z-]+")
	inTable := map[string]bool{}
	for line := range strings.Lines(section) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok {
			for _, f := range flag.FindAllString(name, -1) {
				inTable[f] = true
			}
		}
	}
	help, err := exec.CommandContext(t.Context(), "go", "run", ".", "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	inHelp := map[string]bool{}
	for line := range strings.Lines(strings.ReplaceAll(string(help), "--[no-]", "--")) {
		if f := flag.FindString(line); f != "" && strings.HasPrefix(strings.TrimPrefix(strings.TrimLeft(line, " "), "-h, "), f) {
			inHelp[f] = true
		}
	}
	for f := range inHelp {
		if !inTable[f] && f != "--help" && f != "--version" {
			t.Errorf("%s is not in the README", f)
		}
	}
	for f := range inTable {
		if !inHelp[f] {
			t.Errorf("the README lists %s, which does not exist", f)
		}
	}
}
