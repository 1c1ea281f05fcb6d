// Package prometheus tests the rules beside it.
package prometheus

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sessiond/sessiond/deploy/grafana/dashboards"
)

// promtool runs it on files of this folder: that of the image that PROMETHEUS_IMAGE names, or the one on the PATH, which
// must be of version 2.45 or later to know all of prometheus.yml.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	name, image := "promtool", os.Getenv("PROMETHEUS_IMAGE")
	if image != "" {
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		name, args = "docker", append([]string{"run", "--rm", "-v", here + ":/rules:ro", "-w", "/rules", "--entrypoint", "promtool", image}, args...)
	} else if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("SESSIOND_TEST_CLUSTER") == "required" {
			t.Fatal("promtool is required: PROMETHEUS_IMAGE names no image, and there is none on the PATH")
		}
		t.Skip("no promtool: name an image in PROMETHEUS_IMAGE, as deploy/images/resolve.sh prometheus prints it, or install one")
	}
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRules(t *testing.T) {
	tests, err := filepath.Glob("rules/tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	promtool(t, append([]string{"test", "rules"}, tests...)...)
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", "--syntax-only", "prometheus.yml")
}

// A rule is one of a file of rules.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rulesOf(t *testing.T, path string) []rule {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// Every alert says what it means and leads to a section of the runbook that exists; every section is of an alert; and
// every alert is tested both for firing and for keeping quiet.
func TestAlerts(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (Sessiond\w+)$`).FindAllSubmatch(runbook, -1) {
		sections = append(sections, string(m[1]))
	}
	tested := testedAlerts(t)
	var names []string
	for _, r := range rulesOf(t, "rules/alerts.yml") {
		names = append(names, r.Alert)
		if !slices.Contains([]string{"page", "ticket", "info"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: severity %q, annotations %q", r.Alert, r.Labels["severity"], r.Annotations)
		}
		if _, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "/docs/runbook.md#"); anchor != strings.ToLower(r.Alert) {
			t.Errorf("%s leads to %s", r.Alert, r.Annotations["runbook_url"])
		}
		if !slices.Contains(sections, r.Alert) {
			t.Errorf("%s has no section in the runbook", r.Alert)
		}
		if tested[r.Alert] != [2]bool{true, true} {
			t.Errorf("%s: tested for firing and for keeping quiet: %v", r.Alert, tested[r.Alert])
		}
	}
	for _, s := range sections {
		if !slices.Contains(names, s) {
			t.Errorf("the runbook has a section on %s, which is no alert", s)
		}
	}
}

// Every panel that the runbook sends its reader to exists, and so does every target of make.
func TestRunbookNamesWhatExists(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, d := range dashboards.All() {
		_, name, _ := strings.Cut(d.Title, " / ")
		titles[name] = true
		for _, p := range d.Panels {
			titles[p.Title] = true
		}
	}
	panels := regexp.MustCompile(`(?:^|[^*])\*([^*\n]+)\*`).FindAllSubmatch(runbook, -1)
	targets := regexp.MustCompile("`make ([a-z-]+)").FindAllSubmatch(runbook, -1)
	if len(panels) < 20 || len(targets) < 3 {
		t.Fatalf("found %d panels and %d targets only", len(panels), len(targets))
	}
	for _, m := range panels {
		if !titles[string(m[1])] {
			t.Errorf("the runbook names the panel %q, which does not exist", m[1])
		}
	}
	for _, m := range targets {
		if !bytes.Contains(makefile, fmt.Appendf(nil, "\n%s:", m[1])) {
			t.Errorf("the runbook names make %s, which does not exist", m[1])
		}
	}
}

// testedAlerts says of each alert whether promtool's tests expect it to fire, and not to.
func testedAlerts(t *testing.T) map[string][2]bool {
	t.Helper()
	tested := map[string][2]bool{}
	paths, err := filepath.Glob("rules/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Tests []struct {
				AlertRuleTest []struct {
					AlertName string           `yaml:"alertname"`
					ExpAlerts []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, a := range test.AlertRuleTest {
				seen := tested[a.AlertName]
				seen[0], seen[1] = seen[0] || len(a.ExpAlerts) > 0, seen[1] || len(a.ExpAlerts) == 0
				tested[a.AlertName] = seen
			}
		}
	}
	return tested
}

// Every metric that a rule, or a dashboard, asks for is the service's, or is recorded.
func TestMetricsExist(t *testing.T) {
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := func(name string) bool {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		return bytes.Contains(documented, fmt.Appendf(nil, "| `%s` |", name)) || bytes.Contains(documented, fmt.Appendf(nil, "| `%s` | histogram", base))
	}
	var recorded, exprs []string
	for _, path := range []string{"rules/recording.yml", "rules/alerts.yml"} {
		for _, r := range rulesOf(t, path) {
			recorded, exprs = append(recorded, r.Record), append(exprs, r.Expr)
		}
	}
	for _, d := range dashboards.All() {
		for _, q := range d.Queries() {
			exprs = append(exprs, q.Expr)
		}
	}
	for _, expr := range exprs {
		for _, name := range dashboards.Metrics(expr) {
			if !slices.Contains(recorded, name) && !known(name) {
				t.Errorf("there is no %s, which is asked for in %s", name, expr)
			}
		}
	}
}
