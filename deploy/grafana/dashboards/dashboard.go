// Package dashboards contains the Grafana dashboards as Go values. So what all panels share is written once, and a test can
// look at every query. `go run ./deploy/grafana` writes them as the JSON files in this folder, for Grafana 11 and 12.
package dashboards

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// All returns the dashboards, in the order of the links at the top of each.
func All() []Dashboard { return []Dashboard{failover(), sessions(), service()} }

// A Dashboard is the part of Grafana's dashboard model that is used here.
type Dashboard struct {
	UID           string           `json:"uid"`
	Title         string           `json:"title"`
	Description   string           `json:"description"`
	Tags          []string         `json:"tags"`
	SchemaVersion int              `json:"schemaVersion"`
	Editable      bool             `json:"editable"`
	GraphTooltip  int              `json:"graphTooltip"` // 1: one cross hair for all panels
	Refresh       string           `json:"refresh"`
	Time          TimeRange        `json:"time"`
	Timepicker    Timepicker       `json:"timepicker"`
	Timezone      string           `json:"timezone"`
	Links         []Link           `json:"links"`
	Templating    list[Variable]   `json:"templating"`
	Annotations   list[Annotation] `json:"annotations"`
	Panels        []Panel          `json:"panels"`
}

type list[T any] struct {
	List []T `json:"list"`
}

// A TimeRange is the range that a dashboard shows when it is opened.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// A Timepicker offers refresh intervals. Grafana refuses any below its min_refresh_interval, 5 s by default.
type Timepicker struct {
	RefreshIntervals []string `json:"refresh_intervals"`
}

// A Link leads from one dashboard to all others with a tag, and keeps the time range and the instances.
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	TargetBlank bool     `json:"targetBlank"`
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
}

// A Datasource names where queries go. Every panel uses the one that the variable names.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

var chosen = Datasource{Type: "prometheus", UID: "${datasource}"}

// A Variable is a choice at the top of the dashboard.
type Variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"`
	Datasource *Datasource `json:"datasource,omitempty"`
	Definition string      `json:"definition,omitempty"`
	Query      any         `json:"query"` // a string, or of a query variable an object
	Multi      bool        `json:"multi"`
	IncludeAll bool        `json:"includeAll"`
	Current    current     `json:"current"`
	Refresh    int         `json:"refresh"` // 1: when the dashboard is loaded; 2: when the time range changes
	Sort       int         `json:"sort"`
	Regex      string      `json:"regex"`
	Hide       int         `json:"hide"`
}

type current struct {
	Text  any `json:"text,omitempty"`
	Value any `json:"value,omitempty"`
}

type variableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

// variables returns the variables of every dashboard. `instance` has no value for "all": Grafana then lists the instances of
// the service, which keeps out metrics that the Redis exporter and Prometheus have under the same name.
func variables() []Variable {
	const instances = "label_values(sessiond_http_requests_in_flight, instance)"
	return []Variable{
		{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1},
		{
			Name: "instance", Label: "Instance", Type: "query", Datasource: &chosen,
			Definition: instances, Query: variableQuery{instances, "instances"},
			Multi: true, IncludeAll: true, Refresh: 2, Sort: 1,
			Current: current{Text: []string{"All"}, Value: []string{"$__all"}},
		},
	}
}

// An Annotation marks moments on every panel. Grafana reads `expr` and `step` up to version 10, and `target` since then.
type Annotation struct {
	Name        string           `json:"name"`
	Datasource  Datasource       `json:"datasource"`
	Enable      bool             `json:"enable"`
	IconColor   string           `json:"iconColor"`
	Expr        string           `json:"expr"`
	Step        string           `json:"step"`
	Target      annotationTarget `json:"target"`
	TitleFormat string           `json:"titleFormat"`
	TextFormat  string           `json:"textFormat"`
	TagKeys     string           `json:"tagKeys"`
}

type annotationTarget struct {
	Expr     string `json:"expr"`
	RefID    string `json:"refId"`
	Interval string `json:"interval"`
}

func annotation(name, color, expr, title string) Annotation {
	expr = expand(expr)
	return Annotation{
		Name: name, Datasource: chosen, Enable: true, IconColor: color, Expr: expr, Step: "1s",
		Target: annotationTarget{Expr: expr, RefID: "Anno", Interval: "1s"}, TitleFormat: title, TagKeys: "type",
	}
}

// tag marks all dashboards of the service.
const tag = "sessiond"

// newDashboard fills in what all dashboards share.
func newDashboard(name, title, description string, sections ...section) Dashboard {
	return Dashboard{
		UID: "sessiond-" + name, Title: "sessiond / " + title, Description: description, Tags: []string{tag},
		SchemaVersion: 39, Editable: true, GraphTooltip: 1, Timezone: "browser",
		Refresh: "10s", Time: TimeRange{From: "now-1h", To: "now"},
		Timepicker: Timepicker{RefreshIntervals: []string{"5s", "10s", "30s", "1m", "5m"}},
		Links: []Link{{
			Title: "Dashboards of sessiond", Type: "dashboards", Tags: []string{tag}, IncludeVars: true, KeepTime: true,
			Icon: "external link", Tooltip: "The other dashboards, with the same time range and instances",
		}},
		Templating:  list[Variable]{variables()},
		Annotations: list[Annotation]{[]Annotation{}},
		Panels:      arrange(sections),
	}
}

// every sets the smallest step of all panels. Grafana's rate interval is four steps.
func (d Dashboard) every(step string) Dashboard {
	d.Panels = slices.Clone(d.Panels)
	for i := range d.Panels {
		if len(d.Panels[i].Targets) > 0 {
			d.Panels[i].Interval = step
		}
	}
	return d
}

// File is the name of the dashboard's file.
func (d Dashboard) File() string { return strings.TrimPrefix(d.UID, "sessiond-") + ".json" }

// JSON is the dashboard's file.
func (d Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}
