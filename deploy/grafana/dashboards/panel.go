package dashboards

// A Panel is one panel of a dashboard. kinds.go has a constructor for each kind.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         GridPos          `json:"gridPos"`
	Collapsed       *bool            `json:"collapsed,omitempty"` // of a row
	Datasource      *Datasource      `json:"datasource,omitempty"`
	Interval        string           `json:"interval,omitempty"`
	Targets         []Target         `json:"targets,omitempty"`
	Transformations []Transformation `json:"transformations,omitempty"`
	FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
	Options         any              `json:"options,omitempty"`

	AfterFailover bool `json:"-"` // what it shows exists only after a failover
}

// A Target is one query of a panel.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	EditorMode   string     `json:"editorMode"`
	Expr         string     `json:"expr"`
	Format       string     `json:"format,omitempty"`
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
	LegendFormat string     `json:"legendFormat"`
	Exemplar     bool       `json:"exemplar,omitempty"`
}

// A Transformation changes a table before it is shown.
type Transformation struct {
	ID      string `json:"id"`
	Options any    `json:"options"`
}

// Unit is one of Grafana's.
type Unit string

const (
	unitNone     Unit = "none" // a plain number, 16384 in full
	unitShort    Unit = "short"
	unitSeconds  Unit = "s"
	unitBytes    Unit = "bytes"
	unitFraction Unit = "percentunit"
	unitRequests Unit = "reqps"
	unitPerSec   Unit = "ops"
	unitByteRate Unit = "Bps"
)

// FieldConfig is how values are shown.
type FieldConfig struct {
	Defaults  Field      `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Field is the presentation of a value.
type Field struct {
	Unit       Unit       `json:"unit"`
	Decimals   *int       `json:"decimals,omitempty"`
	Min        *float64   `json:"min,omitempty"`
	Max        *float64   `json:"max,omitempty"`
	NoValue    string     `json:"noValue,omitempty"` // shown when there is nothing
	Color      Color      `json:"color"`
	Thresholds Thresholds `json:"thresholds"`
	Mappings   []Mapping  `json:"mappings"`
	Custom     any        `json:"custom,omitempty"`
}

// Color chooses colours: palette-classic, thresholds or fixed.
type Color struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor,omitempty"`
}

// Thresholds are the values at which the colour changes.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// A Step applies from its value upwards. The first step has no value and applies to everything below the second.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// A Mapping shows values as words and colours.
type Mapping struct {
	Type    string            `json:"type"`
	Options map[string]Mapped `json:"options"`
}

// Mapped is what is shown for one value.
type Mapped struct {
	Text  string `json:"text"`
	Color string `json:"color"`
	Index int    `json:"index"`
}

// An Override changes the presentation of some lines.
type Override struct {
	Matcher    Matcher    `json:"matcher"`
	Properties []Property `json:"properties"`
}

// A Matcher chooses lines by their name.
type Matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

// A Property is what an override sets.
type Property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// newPanel fills in what all kinds except rows share.
func newPanel(kind, title string, unit Unit, description string, targets []Target) Panel {
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	return Panel{
		Type: kind, Title: title, Description: description, Datasource: &chosen, Targets: targets,
		GridPos: GridPos{W: 8, H: 8},
		FieldConfig: &FieldConfig{
			Defaults: Field{
				Unit: unit, Mappings: []Mapping{},
				Color:      Color{Mode: "palette-classic"},
				Thresholds: Thresholds{Mode: "absolute", Steps: []Step{{Color: "green"}}},
			},
			Overrides: []Override{},
		},
	}
}

// sized sets the width, in columns of 24, and the height, in grid units.
func (p Panel) sized(w, h int) Panel {
	p.GridPos.W, p.GridPos.H = w, h
	return p
}

// bounded sets the ends of the axis.
func (p Panel) bounded(low, high float64) Panel {
	p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = &low, &high
	return p
}

func (p Panel) decimals(n int) Panel {
	p.FieldConfig.Defaults.Decimals = &n
	return p
}

// whenEmpty sets the text to show if there are no values.
func (p Panel) whenEmpty(text string) Panel {
	p.FieldConfig.Defaults.NoValue = text
	return p
}

// shownByFailover marks a panel that may be empty until a master has been lost.
func (p Panel) shownByFailover() Panel {
	p.AfterFailover = true
	return p
}

// from makes a threshold's step.
func from(value float64, color string) Step { return Step{Color: color, Value: &value} }

// thresholds colours values by steps; values below the first step get the base colour.
func (p Panel) thresholds(base string, steps ...Step) Panel {
	d := &p.FieldConfig.Defaults
	d.Thresholds.Steps = append([]Step{{Color: base}}, steps...)
	if c, ok := d.Custom.(lineStyle); ok {
		c.ThresholdsStyle.Mode = "dashed"
		d.Custom = c
	} else {
		d.Color = Color{Mode: "thresholds"}
	}
	return p
}

// mapped gives each of the values 0, 1, 2... a word and a colour.
func (p Panel) mapped(words ...Mapped) Panel {
	m := Mapping{Type: "value", Options: map[string]Mapped{}}
	for i, w := range words {
		w.Index = i
		m.Options[string(rune('0'+i))] = w
	}
	p.FieldConfig.Defaults.Mappings = []Mapping{m}
	return p
}

// word is the text and the colour of one value.
func word(text, color string) Mapped { return Mapped{Text: text, Color: color} }

// colored gives one colour to all lines whose names match a regular expression.
func (p Panel) colored(names, color string) Panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{
		Matcher:    Matcher{ID: "byRegexp", Options: names},
		Properties: []Property{{ID: "color", Value: Color{Mode: "fixed", FixedColor: color}}},
	})
	return p
}
