package report

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// A canvas draws anti-aliased lines, boxes and text on white. Coordinates are pixels from the upper left.
type canvas struct {
	img           *image.RGBA
	raster        *vector.Rasterizer
	regular, bold font.Face
}

func newCanvas(width, height int, textSize float64) (*canvas, error) {
	c := &canvas{img: image.NewRGBA(image.Rect(0, 0, width, height)), raster: vector.NewRasterizer(width, height)}
	draw.Draw(c.img, c.img.Bounds(), image.White, image.Point{}, draw.Src)
	var err error
	if c.regular, err = face(goregular.TTF, textSize); err != nil {
		return nil, err
	}
	c.bold, err = face(gobold.TTF, textSize)
	return c, err
}

func face(ttf []byte, size float64) (font.Face, error) {
	f, err := opentype.Parse(ttf)
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
}

// box fills a rectangle of whole pixels, at least one wide and one high.
func (c *canvas) box(x, y, width, height float64, ink color.Color) {
	left, top := int(math.Round(x)), int(math.Round(y))
	right, bottom := max(int(math.Round(x+width)), left+1), max(int(math.Round(y+height)), top+1)
	draw.Draw(c.img, image.Rect(left, top, right, bottom), image.NewUniform(ink), image.Point{}, draw.Src)
}

// path draws lines from each point to the next.
func (c *canvas) path(points [][2]float64, width float64, ink color.Color) {
	c.raster.Reset(c.img.Bounds().Dx(), c.img.Bounds().Dy())
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b[0]-a[0], b[1]-a[1])
		if length == 0 {
			continue
		}
		// A little longer than the line, so that corners are filled.
		ux, uy := (b[0]-a[0])/length*width/2, (b[1]-a[1])/length*width/2
		c.quad([4][2]float64{
			{a[0] - ux - uy, a[1] - uy + ux}, {a[0] - ux + uy, a[1] - uy - ux},
			{b[0] + ux + uy, b[1] + uy - ux}, {b[0] + ux - uy, b[1] + uy + ux},
		})
	}
	c.fill(ink)
}

// quad adds a quadrilateral. All have the same winding direction, so that overlapping ones add up.
func (c *canvas) quad(p [4][2]float64) {
	c.raster.MoveTo(float32(p[0][0]), float32(p[0][1]))
	for _, q := range p[1:] {
		c.raster.LineTo(float32(q[0]), float32(q[1]))
	}
	c.raster.ClosePath()
}

func (c *canvas) fill(ink color.Color) {
	c.raster.Draw(c.img, c.img.Bounds(), image.NewUniform(ink), image.Point{})
}

// text writes on a base line: to the right of x with an align of 0, centred on it with 0.5, to its left with 1.
func (c *canvas) text(x, y, align float64, face font.Face, ink color.Color, text string) {
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(ink), Face: face}
	x -= align * c.width(face, text)
	d.Dot = fixed.Point26_6{X: fixed.Int26_6(x * 64), Y: fixed.Int26_6(y * 64)}
	d.DrawString(text)
}

func (c *canvas) width(face font.Face, text string) float64 {
	return float64(font.MeasureString(face, text)) / 64
}
