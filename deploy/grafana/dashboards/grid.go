package dashboards

// Columns is the width of Grafana's grid.
const Columns = 24

// GridPos is the position and size of a panel, in Grafana's grid units.
type GridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// A section is a heading with the panels below it.
type section struct {
	title  string
	panels []Panel
}

func row(title string, panels ...Panel) section { return section{title, panels} }

// arrange numbers the panels and places them from left to right, and starts a new line when the next one does not fit.
func arrange(sections []section) []Panel {
	var all []Panel
	y := 0
	add := func(p Panel, x int) {
		p.ID, p.GridPos.X, p.GridPos.Y = len(all)+1, x, y
		all = append(all, p)
	}
	for _, s := range sections {
		open := false
		add(Panel{Type: "row", Title: s.title, Collapsed: &open, GridPos: GridPos{W: Columns, H: 1}}, 0)
		y++
		x, height := 0, 0
		for _, p := range s.panels {
			if x+p.GridPos.W > Columns {
				x, y, height = 0, y+height, 0
			}
			add(p, x)
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
		}
		y += height
	}
	return all
}
