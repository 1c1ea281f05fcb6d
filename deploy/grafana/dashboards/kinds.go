package dashboards

// The kinds of panels, and their options. Every one that draws lines has a legend.

type legend struct {
	ShowLegend  bool     `json:"showLegend"`
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	Calcs       []string `json:"calcs"`
}

type tooltip struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}

type lineOptions struct {
	Legend  legend  `json:"legend"`
	Tooltip tooltip `json:"tooltip"`
}

type lineStyle struct {
	DrawStyle         string       `json:"drawStyle"`
	LineInterpolation string       `json:"lineInterpolation"`
	LineWidth         int          `json:"lineWidth"`
	FillOpacity       int          `json:"fillOpacity"`
	ShowPoints        string       `json:"showPoints"`
	PointSize         int          `json:"pointSize"`
	SpanNulls         bool         `json:"spanNulls"`
	Stacking          stacking     `json:"stacking"`
	ScaleDistribution distribution `json:"scaleDistribution"`
	ThresholdsStyle   mode         `json:"thresholdsStyle"`
}

type stacking struct {
	Mode  string `json:"mode"`
	Group string `json:"group"`
}

type distribution struct {
	Type string `json:"type"`
	Log  int    `json:"log,omitempty"`
}

type mode struct {
	Mode string `json:"mode"`
}

// timeseries draws lines. Nothing is drawn over gaps: a gap says that nobody was there to be asked.
func timeseries(title string, unit Unit, description string, targets ...Target) Panel {
	p := newPanel("timeseries", title, unit, description, targets)
	p.FieldConfig.Defaults.Custom = lineStyle{
		DrawStyle: "line", LineInterpolation: "linear", LineWidth: 1, FillOpacity: 10, ShowPoints: "auto", PointSize: 4,
		Stacking: stacking{"none", "A"}, ScaleDistribution: distribution{Type: "linear"}, ThresholdsStyle: mode{"off"},
	}
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.Options = lineOptions{
		Legend:  legend{ShowLegend: true, DisplayMode: "table", Placement: "bottom", Calcs: []string{"lastNotNull", "max"}},
		Tooltip: tooltip{Mode: "multi", Sort: "desc"},
	}
	return p
}

// styled changes the lines.
func (p Panel) styled(change func(*lineStyle)) Panel {
	style := p.FieldConfig.Defaults.Custom.(lineStyle)
	change(&style)
	p.FieldConfig.Defaults.Custom = style
	return p
}

// stacked puts the lines on top of each other: their sum is what counts.
func (p Panel) stacked() Panel {
	return p.styled(func(s *lineStyle) { s.Stacking.Mode, s.FillOpacity = "normal", 40 })
}

// stepped is for values that change at once.
func (p Panel) stepped() Panel {
	return p.styled(func(s *lineStyle) { s.LineInterpolation = "stepAfter" })
}

// bars is for moments.
func (p Panel) bars() Panel {
	return p.styled(func(s *lineStyle) { s.DrawStyle, s.FillOpacity = "bars", 80 })
}

// logarithmic is for values that differ by orders of magnitude.
func (p Panel) logarithmic() Panel {
	p.FieldConfig.Defaults.Min = nil // there is no zero
	return p.styled(func(s *lineStyle) { s.ScaleDistribution = distribution{Type: "log", Log: 10} })
}

type reduce struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

type statOptions struct {
	ReduceOptions reduce `json:"reduceOptions"`
	ColorMode     string `json:"colorMode"`
	GraphMode     string `json:"graphMode"`
	JustifyMode   string `json:"justifyMode"`
	Orientation   string `json:"orientation"`
	TextMode      string `json:"textMode"`
	WideLayout    bool   `json:"wideLayout"`
}

// stat shows a number, or one for each line.
func stat(title string, unit Unit, description string, targets ...Target) Panel {
	p := newPanel("stat", title, unit, description, targets).sized(3, 4)
	graph := "none"
	if targets[0].Range {
		graph = "area"
	}
	p.FieldConfig.Defaults.Color = Color{Mode: "thresholds"}
	p.Options = statOptions{
		ReduceOptions: reduce{Calcs: []string{"lastNotNull"}}, ColorMode: "value", GraphMode: graph, JustifyMode: "auto",
		Orientation: "auto", TextMode: "auto", WideLayout: true,
	}
	return p
}

type timelineStyle struct {
	LineWidth   int `json:"lineWidth"`
	FillOpacity int `json:"fillOpacity"`
}

type timelineOptions struct {
	MergeValues bool    `json:"mergeValues"`
	ShowValue   string  `json:"showValue"`
	AlignValue  string  `json:"alignValue"`
	RowHeight   float64 `json:"rowHeight"`
	Legend      legend  `json:"legend"`
	Tooltip     tooltip `json:"tooltip"`
}

// timeline shows one band for each line, coloured by its value, which [Panel.mapped] gives words to.
func timeline(title, description string, targets ...Target) Panel {
	p := newPanel("state-timeline", title, unitNone, description, targets)
	p.FieldConfig.Defaults.Custom = timelineStyle{FillOpacity: 80}
	p.FieldConfig.Defaults.Color = Color{Mode: "thresholds"}
	p.Options = timelineOptions{
		MergeValues: true, ShowValue: "auto", AlignValue: "left", RowHeight: 0.85,
		Legend:  legend{ShowLegend: true, DisplayMode: "list", Placement: "bottom", Calcs: []string{}},
		Tooltip: tooltip{Mode: "single", Sort: "none"},
	}
	return p
}

type heatmapOptions struct {
	Calculate    bool          `json:"calculate"`
	Color        heatmapColor  `json:"color"`
	CellGap      int           `json:"cellGap"`
	FilterValues filterValues  `json:"filterValues"`
	RowsFrame    rowsFrame     `json:"rowsFrame"`
	ShowValue    string        `json:"showValue"`
	YAxis        heatmapAxis   `json:"yAxis"`
	Legend       heatmapLegend `json:"legend"`
	Tooltip      heatmapTip    `json:"tooltip"`
	Exemplars    exemplars     `json:"exemplars"`
}

type heatmapColor struct {
	Mode     string  `json:"mode"`
	Scheme   string  `json:"scheme"`
	Scale    string  `json:"scale"`
	Exponent float64 `json:"exponent"`
	Steps    int     `json:"steps"`
	Reverse  bool    `json:"reverse"`
	Fill     string  `json:"fill"`
}

type filterValues struct {
	Le float64 `json:"le"`
}

type rowsFrame struct {
	Layout string `json:"layout"`
}

type heatmapAxis struct {
	AxisPlacement string `json:"axisPlacement"`
	Reverse       bool   `json:"reverse"`
	Unit          Unit   `json:"unit"`
}

type heatmapLegend struct {
	Show bool `json:"show"`
}

type heatmapTip struct {
	Mode       string `json:"mode"`
	YHistogram bool   `json:"yHistogram"`
}

type exemplars struct {
	Color string `json:"color"`
}

// heatmap shows how the buckets of a histogram fill.
func heatmap(title string, unit Unit, description, selector string) Panel {
	t := query(rate("le", selector), "{{le}}")
	t.Format, t.Exemplar = "heatmap", true
	p := newPanel("heatmap", title, unit, description, []Target{t})
	p.Options = heatmapOptions{
		Color:        heatmapColor{Mode: "scheme", Scheme: "Oranges", Scale: "exponential", Exponent: 0.4, Steps: 64, Fill: "dark-orange"},
		CellGap:      1,
		FilterValues: filterValues{Le: 1e-9}, RowsFrame: rowsFrame{Layout: "auto"}, ShowValue: "never",
		YAxis:   heatmapAxis{AxisPlacement: "left", Unit: unit},
		Legend:  heatmapLegend{Show: true},
		Tooltip: heatmapTip{Mode: "single", YHistogram: true}, Exemplars: exemplars{Color: "rgba(255,0,255,0.7)"},
	}
	return p
}

type tableOptions struct {
	ShowHeader bool     `json:"showHeader"`
	CellHeight string   `json:"cellHeight"`
	SortBy     []sortBy `json:"sortBy"`
}

type sortBy struct {
	DisplayName string `json:"displayName"`
	Desc        bool   `json:"desc"`
}

type organize struct {
	ExcludeByName map[string]bool   `json:"excludeByName"`
	IndexByName   map[string]int    `json:"indexByName"`
	RenameByName  map[string]string `json:"renameByName"`
}

// table lists the labels of what a query finds, in this order.
func table(title, description, expr string, labels ...string) Panel {
	t := once(expr, "")
	t.Format = "table"
	p := newPanel("table", title, unitNone, description, []Target{t})
	order := organize{ExcludeByName: map[string]bool{"Time": true, "Value": true}, IndexByName: map[string]int{}, RenameByName: map[string]string{}}
	for i, l := range labels {
		order.IndexByName[l] = i
	}
	p.Transformations = []Transformation{{ID: "organize", Options: order}}
	p.Options = tableOptions{ShowHeader: true, CellHeight: "sm", SortBy: []sortBy{{DisplayName: labels[0]}}}
	return p
}

type textOptions struct {
	Mode    string `json:"mode"`
	Content string `json:"content"`
}

// text is words in Markdown.
func text(title, description, content string) Panel {
	return Panel{
		Type: "text", Title: title, Description: description, GridPos: GridPos{W: Columns, H: 4},
		Options: textOptions{Mode: "markdown", Content: content},
	}
}
