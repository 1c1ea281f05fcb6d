package browsertest

import (
	"context"
	_ "embed"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed layout.js
var layout string

const (
	livePanels   = "#page > section"
	reportPanels = "main > *"

	// widestGap is the widest gap allowed between two panels, in pixels.
	widestGap = 24
)

// wellLaidOut fails the test if texts of the page overlap or are cut off, if marks run through texts, or if there is a void
// between panels. It checks the page with all details open, and with all closed.
func wellLaidOut(t *testing.T, ctx context.Context, name, panels string) {
	t.Helper()
	for _, open := range []bool{true, false} {
		look := fmt.Sprintf("document.querySelectorAll('details').forEach((d) => { d.open = %t; }); (%s)(%q, %d)", open, layout, panels, widestGap)
		faults, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](look))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Errorf("%s, details open %t: %s", name, open, fault)
		}
	}
}
