package report

import "slices"

// A label names a mark in the picture.
type label struct {
	Mark
	text  string
	x     float64 // of the mark
	width float64 // of the text
	at    float64 // where the text begins
	row   int
}

const (
	labelBeside = 6  // pixels between a mark and its label
	labelApart  = 12 // and between two labels
)

// place puts each label beside its mark, left of the edge, in the first row in which it meets none of the labels before it.
// It returns the number of rows.
func place(labels []label, edge float64) int {
	var rows [][]label
	for i := range labels {
		l := &labels[i]
		l.at = l.x + labelBeside
		if l.at+l.width > edge {
			l.at = max(0, l.x-labelBeside-l.width)
		}
		l.row = slices.IndexFunc(rows, func(row []label) bool { return !slices.ContainsFunc(row, l.meets) })
		if l.row < 0 {
			l.row = len(rows)
			rows = append(rows, nil)
		}
		rows[l.row] = append(rows[l.row], *l)
	}
	return len(rows)
}

func (l label) meets(o label) bool {
	return l.at < o.at+o.width+labelApart && o.at < l.at+l.width+labelApart
}

// above returns the lowest row with a label that a mark's line, down from its own label, would run through. -1 if there is
// none.
func above(mark label, labels []label) int {
	lowest := -1
	for _, l := range labels {
		if l.row >= mark.row && l.at-2 < mark.x && mark.x < l.at+l.width+2 {
			lowest = max(lowest, l.row)
		}
	}
	return lowest
}
