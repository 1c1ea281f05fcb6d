package dashboards

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The files that Grafana reads are what the code makes.
func TestFilesAreWhatTheCodeMakes(t *testing.T) {
	for _, d := range All() {
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(d.File())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code makes: go run ./deploy/grafana (%v)", d.File(), err)
		}
	}
}

// drawn are the kinds of panels that show values, and whether they have a legend to name them; the others say on the
// panel itself what each value is.
var drawn = map[string]bool{"timeseries": true, "state-timeline": true, "heatmap": true, "stat": false, "table": false}

// What every panel must have, so that somebody who never saw it can read it during an outage.
func TestPanels(t *testing.T) {
	for _, d := range All() {
		titles, ids, places := map[string]bool{}, map[int]bool{}, map[[2]int]string{}
		if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" {
			t.Errorf("%s: the first variable is %+v", d.Title, v)
		}
		for _, p := range d.Panels {
			at := d.Title + ", " + p.Title
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: the ID %d is taken", at, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := places[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s lies over %q, or outside", at, other)
					}
					places[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if len(p.Description) < 40 && p.Type != "text" || p.Description == "" || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s: description %q", at, p.Description)
			}
			if p.Type == "text" {
				continue
			}
			if titles[p.Title] {
				t.Errorf("%s: the title is taken", at)
			}
			titles[p.Title] = true
			legend, known := drawn[p.Type]
			if !known || len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: kind %q, unit %q, %d queries", at, p.Type, p.FieldConfig.Defaults.Unit, len(p.Targets))
			}
			if p.Datasource == nil || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s does not ask the chosen data source", at)
			}
			if legend && !hasLegend(t, p) {
				t.Errorf("%s has no legend", at)
			}
			for _, target := range p.Targets {
				checkTarget(t, at, p, target)
			}
		}
	}
}

// selectors are the metrics of the service in a query, with their labels if any are asked for. What a rule recorded, with
// colons in its name, is of all instances.
var selectors = regexp.MustCompile(`[a-z:]*\bsessiond_[a-z_:]+(\{[^}]*)?`)

// windows are the ranges of a query.
var windows = regexp.MustCompile(`\[([^\]]*)\]`)

func checkTarget(t *testing.T, at string, p Panel, target Target) {
	t.Helper()
	if target.Datasource.UID != "${datasource}" || target.RefID == "" {
		t.Errorf("%s: a query asks %q as %q", at, target.Datasource.UID, target.RefID)
	}
	if drawn[p.Type] && target.LegendFormat == "" {
		t.Errorf("%s: a query has no name in the legend", at)
	}
	for _, selector := range selectors.FindAllString(target.Expr, -1) {
		if name, labels, _ := strings.Cut(selector, "{"); !strings.Contains(name, ":") && !strings.HasPrefix(labels, `instance=~"$instance"`) {
			t.Errorf("%s: %s does not heed the choice of instances", at, selector)
		}
	}
	for _, window := range windows.FindAllStringSubmatch(target.Expr, -1) {
		if window[1] != "$__rate_interval" && window[1] != "$__range" {
			t.Errorf("%s looks over %s, whatever the scrape interval is", at, window[1])
		}
	}
	if strings.Contains(target.Expr, "rate(") && !strings.Contains(target.Expr, "$__rate_interval") && !strings.Contains(target.Expr, ":") {
		t.Errorf("%s: a rate without $__rate_interval: %s", at, target.Expr)
	}
	if left := Fill(target.Expr, Values{}); strings.Contains(left, "$") {
		t.Errorf("%s: Fill leaves a variable in %s", at, left)
	}
}

// hasLegend reads the panel as Grafana does.
func hasLegend(t *testing.T, p Panel) bool {
	t.Helper()
	text, err := json.Marshal(p.Options)
	if err != nil {
		t.Fatal(err)
	}
	var options struct {
		Legend struct {
			ShowLegend bool `json:"showLegend"`
			Show       bool `json:"show"` // of a heatmap
		} `json:"legend"`
	}
	if err := json.Unmarshal(text, &options); err != nil {
		t.Fatal(err)
	}
	return options.Legend.ShowLegend || options.Legend.Show
}
