package report

import (
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// The picture's measures, in pixels.
const (
	pictureWidth  = 1600
	pictureMargin = 90 // for the labels of the axes
	pictureRight  = 30
	rateHeight    = 150
	latencyHeight = 200
	panelGap      = 66
	labelRow      = 28
	pictureText   = 20
)

var (
	inkText     = color.RGBA{0x1d, 0x22, 0x27, 0xff}
	inkSoft     = color.RGBA{0x5b, 0x66, 0x70, 0xff}
	inkGrid     = color.RGBA{0xdf, 0xe3, 0xe6, 0xff}
	inkAnswered = color.RGBA{0x7f, 0xa8, 0xd9, 0xff}
	inkFailed   = color.RGBA{0xc2, 0x2f, 0x2f, 0xff}
	inkUnsent   = color.RGBA{0xa3, 0xab, 0xb3, 0xff}
	inkP50      = color.RGBA{0x1d, 0x5f, 0xa8, 0xff}
	inkP99      = color.RGBA{0xb0, 0x62, 0x0c, 0xff}
	inkMax      = color.RGBA{0x7d, 0x87, 0x90, 0xff}
)

func inkOf(kind string) color.Color {
	switch kind {
	case "fault":
		return color.RGBA{0xc2, 0x2f, 0x2f, 0xff}
	case "promotion":
		return color.RGBA{0x7a, 0x3f, 0xb5, 0xff}
	case "recovery":
		return color.RGBA{0x1a, 0x7f, 0x4b, 0xff}
	}
	return color.RGBA{0x4a, 0x6a, 0x80, 0xff}
}

// A picture draws timeline.png.
type picture struct {
	*canvas
	seconds []Second
	end     Millis
	y       float64      // of the next panel
	fields  [][2]float64 // top and bottom of each, from the first on
}

// WritePNG writes timeline.png: the page's timeline as a picture.
func (r Report) WritePNG(w io.Writer) error {
	sizer, err := newCanvas(1, 1, pictureText)
	if err != nil {
		return err
	}
	p := picture{seconds: condense(r.Timeline, pointsDrawn), end: max(r.Lasted, Millis(time.Second))}
	for _, s := range p.seconds {
		p.end = max(p.end, s.At+Millis(s.Span)*Millis(time.Second))
	}
	for _, m := range r.Marks {
		p.end = max(p.end, m.At)
	}
	labels := make([]label, len(r.Marks))
	for i, m := range r.Marks {
		text := m.Label + " " + m.At.String()
		labels[i] = label{Mark: m, text: text, x: p.x(m.At), width: sizer.width(sizer.bold, text)}
	}
	rows := place(labels, pictureWidth-pictureRight)
	top := 56 + float64(rows)*labelRow
	height := top + 2*(rateHeight+latencyHeight) + 4*(panelGap-14) + 44
	if p.canvas, err = newCanvas(pictureWidth, int(height), pictureText); err != nil {
		return err
	}
	p.text(20, 34, 0, p.bold, inkText, fmt.Sprintf("%s, %s: reads failed %d of %d, writes failed %d of %d, lost %d, resurrected %d", r.Scenario,
		r.Started.Format("2006-01-02 15:04 UTC"), r.Figures.FailedReads, r.Figures.Reads, r.Figures.FailedWrites, r.Figures.Writes, r.Figures.Lost, r.Figures.Resurrected))
	p.y = top
	p.rate("Reads per second", func(s Second) SecondOf { return s.Reads })
	p.latency("Reads, latency", func(s Second) SecondOf { return s.Reads })
	p.rate("Writes per second", func(s Second) SecondOf { return s.Writes })
	p.latency("Writes, latency", func(s Second) SecondOf { return s.Writes })
	step := timeStep(p.end)
	for t := Millis(0); t <= p.end; t += step {
		text := axisTime(t)
		p.text(min(p.x(t), pictureWidth-p.width(p.regular, text)/2), p.y+26, 0.5, p.regular, inkSoft, text)
	}
	p.marks(labels, top)
	return png.Encode(w, p.img)
}

func (p *picture) x(at Millis) float64 {
	return pictureMargin + (pictureWidth-pictureMargin-pictureRight)*float64(at)/float64(p.end)
}

// marks draws each label and the line of its mark: down to the first panel, then through each panel's field. The line leaves
// out the panels' titles and keys.
func (p *picture) marks(labels []label, top float64) {
	const first = 62 // base line of the first row
	for _, l := range labels {
		ink := inkOf(l.Kind)
		p.text(l.at, first+float64(l.row)*labelRow, 0, p.bold, ink, l.text)
		from := first + float64(l.row)*labelRow - 14
		if under := above(l, labels); under >= 0 {
			from = first + float64(under)*labelRow + 6
		}
		for _, stretch := range slices.Concat([][2]float64{{from, top + 14}}, p.fields) {
			p.path([][2]float64{{l.x, stretch[0]}, {l.x, stretch[1]}}, 2.5, ink)
		}
	}
}

// panel starts a panel with its title and the key to its colours, and returns the top of its field.
func (p *picture) panel(title string, height float64, keys ...any) float64 {
	y := p.y + panelGap - 14
	p.text(20, y-18, 0, p.bold, inkText, title)
	at := float64(pictureWidth - pictureRight)
	for i := len(keys) - 2; i >= 0; i -= 2 {
		name := keys[i].(string)
		p.text(at, y-18, 1, p.regular, inkSoft, name)
		at -= p.width(p.regular, name) + 24
		p.box(at, y-32, 16, 16, keys[i+1].(color.Color))
		at -= 16
	}
	p.y = y + height
	p.fields = append(p.fields, [2]float64{y, p.y})
	return y
}

// gridLine draws a labelled line of the grid.
func (p *picture) gridLine(y float64, text string) {
	p.box(pictureMargin, y-0.5, pictureWidth-pictureMargin-pictureRight, 1, inkGrid)
	p.text(pictureMargin-10, y+7, 1, p.regular, inkSoft, text)
}

func (p *picture) rate(title string, of func(Second) SecondOf) {
	y := p.panel(title, rateHeight, "answered", inkAnswered, "failed", inkFailed, "not sent", inkUnsent)
	most := 1.0
	for _, s := range p.seconds {
		most = max(most, float64(of(s).Count+of(s).NotSent)/float64(s.Span))
	}
	most = roundUp(most)
	for _, tick := range []float64{0, most / 2, most} {
		p.gridLine(y+rateHeight*(1-tick/most), strconv.FormatFloat(tick, 'f', -1, 64))
	}
	for _, s := range p.seconds {
		x, next := p.x(s.At), p.x(s.At+Millis(s.Span)*Millis(time.Second))
		at := y + rateHeight
		for _, part := range []struct {
			n   int
			ink color.Color
			min float64
		}{{of(s).Count - of(s).Failed, inkAnswered, 0}, {of(s).Failed, inkFailed, 3}, {of(s).NotSent, inkUnsent, 3}} {
			if part.n > 0 {
				height := max(part.min, rateHeight*float64(part.n)/float64(s.Span)/most) // a single failure is seen
				at -= height
				p.box(x, at, max(next-x-1, 0.5), height, part.ink)
			}
		}
	}
}

func (p *picture) latency(title string, of func(Second) SecondOf) {
	y := p.panel(title, latencyHeight, "p50", inkP50, "p99", inkP99, "max", inkMax)
	low, high := 0.0, 1.0 // powers of ten, in milliseconds
	for _, s := range p.seconds {
		if o := of(s); o.Count > 0 {
			low, high = min(low, math.Floor(logMillis(o.P50))), max(high, math.Ceil(logMillis(o.Max)))
		}
	}
	scale := func(m Millis) float64 {
		return y + latencyHeight*(1-(max(logMillis(m), low)-low)/(high-low))
	}
	for e := low; e <= high; e++ {
		m := Millis(math.Pow(10, e) * float64(time.Millisecond))
		p.gridLine(scale(m), m.String())
	}
	for _, line := range []struct {
		of    func(SecondOf) Millis
		width float64
		ink   color.Color
	}{
		{func(s SecondOf) Millis { return s.Max }, 2, inkMax},
		{func(s SecondOf) Millis { return s.P99 }, 3, inkP99},
		{func(s SecondOf) Millis { return s.P50 }, 3, inkP50},
	} {
		var points [][2]float64
		for _, s := range p.seconds {
			if of(s).Count == 0 {
				p.path(points, line.width, line.ink)
				points = nil
				continue
			}
			points = append(points, [2]float64{p.x(s.At + Millis(s.Span)*Millis(time.Second)/2), scale(line.of(of(s)))})
		}
		p.path(points, line.width, line.ink)
	}
}

func logMillis(m Millis) float64 {
	return math.Log10(max(m.Duration().Seconds()*1000, 0.01))
}

// roundUp returns a round number at or above n.
func roundUp(n float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(n, 1))))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= n {
			return m * power
		}
	}
	return 10 * power
}

// timeStep returns a step that gives the time axis at most some twenty labels.
func timeStep(end Millis) Millis {
	for _, s := range []int{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200} {
		if step := Millis(s) * Millis(time.Second); end/step <= 16 {
			return step
		}
	}
	return Millis(24 * time.Hour)
}

// axisTime formats a duration without zeros at its end.
func axisTime(m Millis) string {
	d := m.Duration()
	switch {
	case d == 0:
		return "0"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
