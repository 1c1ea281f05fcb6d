package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

// pointsDrawn is the most seconds that the page's timeline shows one by one; a longer run is condensed. report.json has them
// all.
const pointsDrawn = 1200

var (
	//go:embed page/page.html
	pageText string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
)

// A page is the template's data.
type page struct {
	Report
	Verdict string
	Tiles   []tile
	Data    pageData
	Style   template.CSS
	Script  template.JS
}

// A tile shows one figure in large type.
type tile struct {
	Name, Value, More string
	Bad               bool
}

// pageData is the data that the script draws.
type pageData struct {
	Lasted   Millis   `json:"lasted_ms"`
	Marks    []Mark   `json:"marks"`
	Events   []Event  `json:"events"`
	Timeline []Second `json:"timeline"`
}

// WriteHTML writes report.html: a single file that loads nothing else.
func (r Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(pageText)
	if err != nil {
		return err
	}
	p := page{Report: r, Verdict: "no limits", Tiles: r.tiles(), Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		Data: pageData{r.Lasted, r.Marks, r.Events, condense(r.Timeline, pointsDrawn)}}
	switch {
	case r.Broken():
		p.Verdict = "limits broken"
	case len(r.Checks) > 0:
		p.Verdict = "all limits hold"
	}
	return t.Execute(w, p)
}

func (r Report) tiles() []tile {
	f := r.Figures
	broken := map[string]bool{}
	for _, c := range r.Checks {
		broken[c.Name] = c.Broken
	}
	promotion, more := "–", "none seen"
	if f.Promotions > 0 {
		promotion, more = f.Promotion.String(), "after the fault"
		if f.Promotion == 0 {
			promotion, more = fmt.Sprint(f.Promotions), "without a fault"
		}
	}
	return []tile{
		{"reads failed", fmt.Sprint(f.FailedReads), fmt.Sprintf("of %d", f.Reads), f.FailedReads > 0},
		{"writes failed", fmt.Sprint(f.FailedWrites), fmt.Sprintf("of %d, %d unknown", f.Writes, f.UnknownWrites), f.FailedWrites > 0},
		{"longest write stall", f.WriteStall.String(), "shard " + f.WriteStallShard, broken["max-write-stall"]},
		{"longest read stall", f.ReadStall.String(), "shard " + f.ReadStallShard, broken["max-read-stall"]},
		{"sessions lost", fmt.Sprint(f.Lost), "", f.Lost > 0},
		{"resurrected", fmt.Sprint(f.Resurrected), "", f.Resurrected > 0},
		{"promotion time", promotion, more, broken["max-promotion"] || broken["min-promotions"]},
	}
}
