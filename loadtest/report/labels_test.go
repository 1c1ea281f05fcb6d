package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	for name, test := range map[string]struct {
		labels []label
		at     []float64
		rows   []int
		above  []int
	}{
		"with room":                       {[]label{{x: 100, width: 50}, {x: 300, width: 50}}, []float64{106, 306}, []int{0, 0}, []int{-1, -1}},
		"one after the other":             {[]label{{x: 100, width: 50}, {x: 110, width: 50}}, []float64{106, 116}, []int{0, 1}, []int{-1, -1}},
		"at the edge":                     {[]label{{x: 990, width: 50}}, []float64{934}, []int{0}, []int{-1}},
		"a line over the label below":     {[]label{{x: 100, width: 50}, {x: 120, width: 400}, {x: 300, width: 50}}, []float64{106, 126, 306}, []int{0, 1, 0}, []int{-1, -1, 1}},
		"beside no edge":                  {[]label{{x: 500, width: 900}}, []float64{0}, []int{0}, []int{0}},
		"a line beside the label at edge": {[]label{{x: 900, width: 90}, {x: 950, width: 90}}, []float64{906, 854}, []int{0, 1}, []int{1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			rows := place(test.labels, 1000)
			if want := slices.Max(test.rows) + 1; rows != want {
				t.Errorf("%d rows, want %d", rows, want)
			}
			for i, l := range test.labels {
				if got := above(l, test.labels); l.at != test.at[i] || l.row != test.rows[i] || got != test.above[i] {
					t.Errorf("label %d is at %g in row %d, its line begins below row %d; want %g, %d, %d", i, l.at, l.row, got, test.at[i], test.rows[i], test.above[i])
				}
			}
		})
	}
}

// The marks of the picture run through its fields, but not through the titles and keys between them.
func TestMarksLeaveTitlesAndKeysFree(t *testing.T) {
	draw := func(at time.Duration) image.Image {
		r := New(example(), Limits{})
		r.Marks = []Mark{{At: Millis(at), Kind: "promotion", Label: "promoted"}}
		var b bytes.Buffer
		if err := r.WritePNG(&b); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	// One mark in a title, one in a key.
	for _, at := range []time.Duration{100 * time.Millisecond, 29 * time.Second} {
		img := draw(at)
		x := pictureMargin + int(float64(pictureWidth-pictureMargin-pictureRight)*at.Seconds()/30)
		var stretches [][2]int // of the mark's colour, from top to bottom
		for y := range img.Bounds().Dy() {
			if color.RGBAModel.Convert(img.At(x, y)) != inkOf("promotion") {
				continue
			}
			if n := len(stretches); n > 0 && stretches[n-1][1] == y {
				stretches[n-1][1]++
			} else {
				stretches = append(stretches, [2]int{y, y + 1})
			}
		}
		heights := []int{rateHeight, latencyHeight, rateHeight, latencyHeight}
		if len(stretches) != 1+len(heights) {
			t.Fatalf("a mark at %s has the stretches %v, want one above and one in each of the 4 fields", at, stretches)
		}
		for i, height := range heights {
			if got := stretches[i+1]; got[1]-got[0] < height-2 || got[1]-got[0] > height+4 {
				t.Errorf("a mark at %s goes through %v of a field %d high", at, got, height)
			}
		}
	}
}
